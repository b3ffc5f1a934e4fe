import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { silentLogger, type HostPort, type MonitorStatus } from '@msi-proxy/shared';
import type { AxeResults } from 'axe-core';
import type { BrowserContextOptions, Page } from 'playwright-core';
import { pageAssets } from '../../packages/monitor/build/page-assets.ts';
import { createStatusServer, type StatusServer } from '../../packages/monitor/src/status/index.ts';
import { TestBrowser, type OpenPage } from './support/browser.ts';
import { sampleStatus } from './support/sample-status.ts';

const AXE = readFileSync(new URL(import.meta.resolve('axe-core/axe.min.js')), 'utf8');

const PHONE = { viewport: { width: 360, height: 740 } } as const;
const DESKTOP = { viewport: { width: 1280, height: 900 } } as const;

// The page of the real server with made-up statuses. What it says of a real VM is in status-page.test.ts.
describe('the status page in a browser', function () {
  this.timeout(180_000);
  let browser: TestBrowser;
  let server: StatusServer;
  let where: HostPort;
  let status: MonitorStatus;
  let opened: OpenPage | undefined;

  before(async () => {
    browser = await TestBrowser.start();
  });
  after(() => browser[Symbol.asyncDispose]());

  beforeEach(async () => {
    status = sampleStatus();
    where = await serve(0);
  });
  afterEach(async () => {
    await opened?.[Symbol.asyncDispose]();
    await server.stop();
  });

  async function serve(port: number): Promise<HostPort> {
    server = createStatusServer({
      listen: { host: '127.0.0.1', port },
      logger: silentLogger,
      status: () => status,
      ready: () => ({ ready: true }),
      metrics: () => '',
      pageAssets,
    });
    return await server.start();
  }

  async function open(options: BrowserContextOptions = DESKTOP): Promise<Page> {
    opened = await browser.open(`http://127.0.0.1:${where.port}/`, options);
    await opened.page.getByRole('heading', { level: 1 }).waitFor();
    return opened.page;
  }

  function rowOf(page: Page, name: string) {
    return page.getByRole('row').filter({ has: page.getByRole('button', { name, exact: true }) });
  }

  function assertNoComplaints(): void {
    assert.deepEqual(opened?.complaints, []);
  }

  it('shows a row for each client, with what it may have and has', async () => {
    const page = await open();
    assert.equal(await page.getByRole('heading', { level: 1 }).textContent(), '1 of 8 clients is refused.');
    const orders = await rowOf(page, 'orders').innerText();
    for (const text of ['wired', 'host', 'vault.azure.net', 'storage.azure.com', '22 h left', '412']) {
      assert.ok(orders.includes(text), `${text} is missing in:\n${orders}`);
    }
    assert.match(await rowOf(page, 'reports').innerText(), /3 refused, last 2 min ago: endpoint not granted/);
    assert.match(await rowOf(page, 'billing').innerText(), /refused[^]*com\.msi-proxy\.identty/);
    assertNoComplaints();
  });

  it('follows what changes without being loaded again, and keeps open what was opened', async () => {
    const page = await open();
    await page.getByRole('button', { name: 'orders', exact: true }).click();
    await page.getByText('172.17.0.2').waitFor();
    const [orders] = status.clients;
    const newcomer = { ...orders!, containerId: 'e'.repeat(64), name: 'newcomer' };
    status = { ...status, clients: [...status.clients.slice(0, 3), newcomer] };
    await rowOf(page, 'newcomer').waitFor();
    await rowOf(page, 'billing').waitFor({ state: 'detached' });
    assert.ok(await page.getByText('172.17.0.2').first().isVisible());
    assert.equal(opened?.loads, 1);
    assertNoComplaints();
  });

  it('says since when it hears nothing, and comes back by itself', async () => {
    const page = await open();
    await page.getByText('Live', { exact: true }).waitFor();
    await server.stop();
    await page.getByText(/Connection to the monitor lost since .*trying again/).waitFor();
    assert.ok(await rowOf(page, 'orders').isVisible(), 'what was known last stays');
    status = { ...status, clients: status.clients.slice(0, 1) };
    await serve(where.port);
    await page.getByText('Live', { exact: true }).waitFor();
    await page.getByRole('heading', { name: 'The one client is served.' }).waitFor();
    assert.equal(opened?.loads, 1);
  });

  it('shows names, images and reasons as text, whatever is in them', async () => {
    const [client] = status.clients;
    const attack = '<img src=x onerror="document.title=1"><script>document.title=2</script>';
    const hostile = {
      ...client!,
      name: attack,
      image: `"'>${attack}`,
      state: 'failed' as const,
      reason: attack,
    };
    status = {
      ...status,
      hostname: attack,
      clients: [hostile],
      proxies: status.proxies.map(proxy => ({ ...proxy, name: attack })),
      guard: { ...status.guard, stopped: [{ address: '10.0.0.1', name: attack, attempts: 1, lastAt: '' }] },
      tokens: [{ ...status.tokens![0]!, id: 1, resource: attack, identity: attack }],
      events: [{ at: new Date().toISOString(), message: attack }],
    };
    const page = await open();
    await page.getByRole('button', { name: attack }).click();
    const found = await page.locator('img, script:not([src]), [onerror]').count();
    assert.equal(found, 0);
    assert.equal((await page.getByText(attack).count()) >= 6, true);
    assert.ok((await page.title()).includes('<img'), 'the title is text, too');
    assertNoComplaints();
  });

  it('stays usable with thousands of clients', async () => {
    const [client] = status.clients;
    const many = Array.from({ length: 3_000 }, (_, index) => ({
      ...client!,
      containerId: index.toString(16).padStart(64, '0'),
      name: `web-${index}`,
      state: index === 2_999 ? ('failed' as const) : ('wired' as const),
    }));
    status = { ...status, clients: many };
    const page = await open();
    const rows = page.locator('table.clients tbody tr');
    assert.equal(await rows.count(), 100);
    assert.match(await rows.first().innerText(), /web-2999/);
    await page.getByText('(2,900 not shown)').waitFor();
    await page.getByRole('button', { name: /Show more/ }).click();
    await page.getByText('(2,800 not shown)').waitFor();
    await page.getByRole('searchbox').fill('web-1234');
    await rowOf(page, 'web-1234').waitFor();
    assert.equal(await rows.count(), 1);
    await page.getByRole('searchbox').fill('');
    await page.getByRole('button', { name: /^failed/ }).click();
    await rowOf(page, 'web-1').waitFor({ state: 'detached' });
    assert.equal(await rows.count(), 1);
    assertNoComplaints();
  });

  it('is walked through by keyboard', async () => {
    const page = await open();
    const focused = async () => (await page.locator(':focus').textContent()) ?? '';
    await page.keyboard.press('Tab');
    assert.equal(await focused(), 'Skip to the clients');
    await page.keyboard.press('Enter');
    assert.equal(await page.locator(':focus').getAttribute('id'), 'clients');
    const names: string[] = [];
    for (let count = 0; count < 6; count += 1) {
      await page.keyboard.press('Tab');
      names.push(await focused());
    }
    assert.deepEqual(names, ['all 8', 'refused 1', 'pending 1', 'wired 6', '', 'billing']);
    const outline = await page.evaluate<string>('getComputedStyle(document.activeElement).outlineStyle');
    assert.equal(outline, 'solid', 'where the focus is, is to be seen');
    await page.keyboard.press('Enter');
    assert.equal(await page.locator(':focus').getAttribute('aria-expanded'), 'true');
    await page.keyboard.press('Enter');
    assert.equal(await page.locator(':focus').getAttribute('aria-expanded'), 'false');
  });

  it('asks nobody but its own server', async () => {
    await open();
    const origins = new Set(opened?.requested.map(url => new URL(url).origin));
    assert.deepEqual([...origins], [`http://127.0.0.1:${where.port}`]);
  });

  for (const [name, view] of [
    ['a desktop', DESKTOP],
    ['a phone', PHONE],
  ] as const) {
    for (const colorScheme of ['light', 'dark'] as const) {
      it(`has no obstacle on ${name}, ${colorScheme}`, async () => {
        const page = await open({ ...view, colorScheme, reducedMotion: 'reduce' });
        await page.getByRole('button', { name: 'orders', exact: true }).click();
        const { violations } = await examine(page);
        const found = violations.map(
          ({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' | ')}`,
        );
        assert.deepEqual(found, []);
        const [content = 0, width = 0] = await page.evaluate<number[]>(
          '[document.documentElement.scrollWidth, innerWidth]',
        );
        assert.ok(content <= width, `${content} px wide on ${width}`);
        assertNoComplaints();
      });
    }
  }
});

async function examine(page: Page): Promise<AxeResults> {
  await page.evaluate(AXE);
  return await page.evaluate<AxeResults>('axe.run()');
}
