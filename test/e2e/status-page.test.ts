import assert from 'node:assert/strict';
import { IDENTITY_LABEL, RESOURCES_LABEL, WIRESERVER_ADDRESS } from '@msi-proxy/shared';
import type { Page } from 'playwright-core';
import { DEFAULT_APP_IDENTITY } from '../../packages/imds-emulator/src/vm/default-vm.ts';
import { tokenPath } from '../lab/index.ts';
import { TestBrowser, type OpenPage } from './support/browser.ts';
import { Scenario } from './support/scenario.ts';

const VAULT = 'https://vault.azure.net';

// One page is open all the time: each test is what happens next on the VM, and what the page then says.
describe('the status page of a VM', function () {
  // The first test of a run builds the images.
  this.timeout(600_000);

  let scenario: Scenario;
  let browser: TestBrowser | undefined;
  let opened: OpenPage;
  let page: Page;

  before(async () => {
    scenario = await Scenario.start({ wiring: 'host' });
    await scenario.startMonitor();
    browser = await TestBrowser.start(scenario.vm.namespace);
    opened = await browser.open('http://127.0.0.1:9180/', { viewport: { width: 1280, height: 900 } });
    ({ page } = opened);
  });
  after(async () => {
    await browser?.[Symbol.asyncDispose]();
    await scenario[Symbol.asyncDispose]();
  });

  function headline(text: string | RegExp) {
    return page.getByRole('heading', { level: 1, name: text }).waitFor();
  }

  function row(name: string, text: string | RegExp) {
    const button = page.getByRole('button', { name, exact: true });
    return page.getByRole('row').filter({ has: button }).filter({ hasText: text }).waitFor();
  }

  it('says that there is no proxy, and that the guard is in place', async () => {
    await headline('There is no proxy.');
    await page.getByText('Nobody but the proxies reaches IMDS').waitFor();
  });

  it('shows a proxy that serves', async () => {
    await scenario.startProxy();
    await headline('Ready for clients.');
    await page.locator('.proxies').filter({ hasText: 'serving' }).waitFor();
  });

  it('shows a client that appears and is wired', async () => {
    const labels = { [IDENTITY_LABEL]: DEFAULT_APP_IDENTITY.clientId, [RESOURCES_LABEL]: VAULT };
    await scenario.startClient({ name: 'orders', labels });
    await row('orders', /wired/);
    await headline('The one client is served.');
    await page.getByText(/Client "orders" is wired by host/).waitFor();
  });

  it('shows the token that it was given, and nothing of its bytes', async () => {
    const { status, body } = await scenario.request('orders', { path: tokenPath(VAULT) });
    assert.equal(status, 200, body);
    await row('orders', /vault\.azure\.net.*left/s);
    await page.locator('.imds').filter({ hasText: 'answering' }).waitFor();
    const { access_token: token } = JSON.parse(body) as { access_token: string };
    const [, claims = '', signature = ''] = token.split('.');
    const shown = await page.content();
    for (const part of [claims, signature]) assert.ok(part.length > 5 && !shown.includes(part));
  });

  it('shows a request that is refused, with the reason', async () => {
    const { status } = await scenario.request('orders', { path: tokenPath('https://management.azure.com') });
    assert.equal(status, 403);
    await row('orders', /1 refused, last .* ago: resource/);
  });

  it('shows a client that is refused for its labels', async () => {
    await scenario.startClient({ name: 'mistyped', labels: { 'com.msi-proxy.identty': 'system' } });
    await row('mistyped', /refused.*com\.msi-proxy\.identty/s);
    await headline('1 of 2 clients is refused.');
    await scenario.removeContainers('mistyped');
    await headline('The one client is served.');
  });

  it('names whom the guard stops', async () => {
    await scenario.startContainer({ name: 'curious' });
    const path = `http://${WIRESERVER_ADDRESS}/`;
    await scenario.vm.engine.run(['exec', 'curious', 'curl', '--silent', '--max-time', '2', path]);
    await page.locator('#guard').filter({ hasText: 'curious' }).waitFor();
  });

  it('says that the proxy is dead, and that it is back', async () => {
    await scenario.docker('kill', 'proxy');
    await headline('There is no proxy: one client waits.');
    await scenario.docker('start', 'proxy');
    await headline('The one client is served.');
  });

  it('says that the monitor is gone, and follows the next one', async () => {
    await scenario.killMonitor();
    await page.getByText(/Connection to the monitor lost since/).waitFor();
    await scenario.startMonitor();
    await page.getByText('Live', { exact: true }).waitFor();
    await headline('The one client is served.');
  });

  it('was never loaded again, and asked nobody else', () => {
    assert.equal(opened.loads, 1);
    const origins = new Set(opened.requested.map(url => new URL(url).origin));
    assert.deepEqual([...origins], ['http://127.0.0.1:9180']);
    // What Chromium says of a stream that ends with its server, and of asking a server that is not there.
    const ofTheGoneMonitor = /net::ERR_(?:CONNECTION_REFUSED|CONNECTION_RESET|INCOMPLETE_CHUNKED_ENCODING)/;
    const unexpected = opened.complaints.filter(text => !ofTheGoneMonitor.test(text));
    assert.deepEqual(unexpected, []);
  });
});
