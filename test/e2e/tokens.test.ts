import assert from 'node:assert/strict';
import { ENDPOINTS_LABEL, IDENTITY_LABEL, RESOURCES_LABEL, type TokenSummary } from '@msi-proxy/shared';
import { TOKEN_MARKERS } from '../../packages/imds-emulator/src/index.ts';
import {
  DEFAULT_APP_IDENTITY,
  DEFAULT_DATA_IDENTITY,
} from '../../packages/imds-emulator/src/vm/default-vm.ts';
import { instancePath, tokenClaims, tokenPath, waitUntil, type ImdsAnswer } from '../lab/index.ts';
import { Scenario } from './support/scenario.ts';

const CLIENTS = 10;
const REQUESTS_EACH = 20;
const ADDRESS = '10.77.0.77';

describe('tokens for many containers, on a real engine with the rate limits of Azure', () => {
  let scenario: Scenario;
  let resources = 0;

  /** One that nobody has asked for yet. */
  function newResource(): string {
    resources += 1;
    return `https://resource-${resources}.example`;
  }

  /** Token calls that IMDS has had for a resource. */
  async function callsFor(resource: string): Promise<number> {
    const { body } = await scenario.vm.imds.control('GET', '/requests');
    return (JSON.parse(body) as { target: string }[]).filter(({ target }) =>
      target.includes(encodeURIComponent(resource)),
    ).length;
  }

  async function setFaults(rules: readonly object[]): Promise<void> {
    assert.equal((await scenario.vm.imds.control('PUT', '/faults', rules)).status, 200);
  }

  async function proxyCommand(...command: string[]): Promise<string> {
    return await scenario.docker('exec', 'proxy', 'msi-proxy', ...command);
  }

  before(async () => {
    scenario = await Scenario.start({ wiring: 'host' });
    await scenario.vm.imds.control('PUT', '/rate-limits', { enabled: true });
    await scenario.docker('network', 'create', '--subnet', '10.77.0.0/24', 'fixed-net');
    await scenario.startMonitor();
    await scenario.startProxy();
    await scenario.untilServing();
    const labels = { [IDENTITY_LABEL]: DEFAULT_APP_IDENTITY.clientId };
    const names = Array.from({ length: CLIENTS }, (_, index) => `client-${index}`);
    for (const name of names) await scenario.startClient({ name, labels });
    await scenario.untilWired(...names);
  });
  afterEach(() => setFaults([]));
  after(async () => {
    const logs = scenario.monitorLog() + (await scenario.docker('logs', 'proxy'));
    await scenario[Symbol.asyncDispose]();
    assert.ok(logs.includes('"via":"cache"'));
    for (const marker of TOKEN_MARKERS) assert.ok(!logs.includes(marker), 'token bytes in a log');
  });

  it(`makes one call for ${CLIENTS * REQUESTS_EACH} first requests of ${CLIENTS} containers`, async () => {
    const resource = newResource();
    await setFaults([{ fault: 'delay', category: 'token', delayMillis: 300 }]);
    const requesters = await Promise.all(
      Array.from({ length: CLIENTS }, (_, index) => scenario.requesterIn(`client-${index}`)),
    );
    const path = tokenPath(resource);
    const answers = await Promise.all(
      requesters.flatMap(ask => Array.from({ length: REQUESTS_EACH }, () => ask({ path }))),
    );
    assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200]);
    assert.equal(new Set(answers.map(answer => tokenClaims(answer)['uti'])).size, 1);
    assert.equal(await callsFor(resource), 1);
  });

  it('gives tokens while IMDS is away', async () => {
    const path = tokenPath(newResource());
    assert.equal((await scenario.request('client-0', { path })).status, 200);
    await setFaults([{ fault: 'reset', afterBytes: 0 }]);
    for (const client of ['client-0', 'client-1']) {
      assert.equal((await scenario.request(client, { path })).status, 200);
    }
  });

  it('has the token that the labels foretell before the client asks', async () => {
    const resource = newResource();
    const labels = { [IDENTITY_LABEL]: DEFAULT_DATA_IDENTITY.clientId, [RESOURCES_LABEL]: resource };
    await scenario.startClient({ name: 'foretold', labels });
    await waitUntil(async () => (await callsFor(resource)) === 1, { what: 'the token to be got ahead' });
    const answer = await scenario.request('foretold', { path: tokenPath(resource) });
    assert.equal(tokenClaims(answer)['appid'], DEFAULT_DATA_IDENTITY.clientId);
    assert.equal(await callsFor(resource), 1);
  });

  it('lists what it keeps and drops it, in the proxy container', async () => {
    const resource = newResource();
    const path = tokenPath(resource);
    await scenario.request('client-0', { path });
    await scenario.request('client-1', { path });
    const listed = JSON.parse(await proxyCommand('tokens', '--json')) as TokenSummary[];
    const kept = listed.find(token => token.resource === resource);
    assert.deepEqual([kept?.identity, kept?.hits], [DEFAULT_APP_IDENTITY.clientId, 1]);
    assert.match(await proxyCommand('tokens'), new RegExp(`${DEFAULT_APP_IDENTITY.clientId} +${resource} `));
    await proxyCommand('tokens', 'flush', '--identity', DEFAULT_DATA_IDENTITY.clientId);
    await scenario.request('client-0', { path });
    assert.equal(await callsFor(resource), 1);
    await proxyCommand('tokens', 'flush');
    await scenario.request('client-0', { path });
    assert.equal(await callsFor(resource), 2);
  });

  it('gives nothing of a request under way to the container that takes over the address, nor the reverse', async () => {
    const [first, second] = [newResource(), newResource()];
    await scenario.startClient({
      name: 'first',
      labels: { [IDENTITY_LABEL]: DEFAULT_APP_IDENTITY.clientId, [RESOURCES_LABEL]: `${first},${second}` },
      network: 'fixed-net',
      extra: ['--ip', ADDRESS],
    });
    await scenario.untilWired('first');
    await proxyCommand('tokens', 'flush');
    await setFaults([{ fault: 'delay', category: 'token', delayMillis: 4_000 }]);
    const path = tokenPath(first);
    const asked = await callsFor(first);
    const lost: Promise<ImdsAnswer | Error> = scenario
      .request('first', { path })
      .catch((error: unknown) => error as Error);
    await waitUntil(async () => (await callsFor(first)) > asked, { what: 'the request to be under way' });
    await scenario.removeContainers('first');
    const labels = {
      [IDENTITY_LABEL]: DEFAULT_DATA_IDENTITY.clientId,
      [RESOURCES_LABEL]: second,
      [ENDPOINTS_LABEL]: 'token',
    };
    await scenario.startClient({ name: 'second', labels, network: 'fixed-net', extra: ['--ip', ADDRESS] });
    const own = await scenario.request('second', { path: tokenPath(second), timeoutSeconds: 15 });
    assert.equal(tokenClaims(own)['appid'], DEFAULT_DATA_IDENTITY.clientId);
    for (const refused of [path, instancePath('compute/name')]) {
      assert.equal((await scenario.request('second', { path: refused })).status, 403);
    }
    const outcome = await lost;
    assert.ok(outcome instanceof Error || outcome.status !== 200, 'a removed container was answered');
  });
});
