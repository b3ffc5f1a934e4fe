import assert from 'node:assert/strict';
import { NODE_CLIENT_IMAGE } from '../../scripts/lib/image-builder.ts';
import { Scenario } from './support/scenario.ts';

const NETWORK = 'shared-net';
const VAULT = 'https://vault.azure.net';

/** The containers are Linux ones, in which nothing can be wired the way of Windows: there is no command for it. */
describe('where a client cannot be wired', () => {
  let scenario: Scenario;

  before(async () => {
    scenario = await Scenario.start({ wiring: 'host' });
    await scenario.docker('network', 'create', NETWORK);
    await scenario.startMonitor({
      MSI_MONITOR_CONTAINER_OS: 'windows',
      MSI_MONITOR_WIRING: 'auto',
      MSI_MONITOR_PROXY_NETWORK: NETWORK,
    });
    await scenario.startProxy({ network: NETWORK });
    await scenario.untilServing();
  });
  after(() => scenario[Symbol.asyncDispose]());

  async function startTold(name: string, labels?: Record<string, string>): Promise<void> {
    const options = {
      name,
      image: NODE_CLIENT_IMAGE.repository,
      network: NETWORK,
      env: { AZURE_POD_IDENTITY_AUTHORITY_HOST: 'http://proxy' },
    };
    await (labels === undefined
      ? scenario.startContainer(options)
      : scenario.startClient({ ...options, labels }));
  }

  it('says why, and what can be done instead', async () => {
    await startTold('client', { 'com.msi-proxy.identity': 'system', 'com.msi-proxy.resources': VAULT });
    const { clients } = await scenario.untilStatus('the client to be refused', status =>
      status.clients.some(({ state }) => state === 'refused'),
    );
    assert.match(clients[0]?.reason ?? '', /AZURE_POD_IDENTITY_AUTHORITY_HOST/);
  });

  it('serves it at the address that AZURE_POD_IDENTITY_AUTHORITY_HOST names', async () => {
    const result = await scenario.sdkToken('client', { credential: 'managed-identity', resource: VAULT });
    assert.ok(result.ok, JSON.stringify(result));
  });

  it('gives it there what its labels say, and no more', async () => {
    const result = await scenario.sdkToken('client', {
      credential: 'managed-identity',
      resource: 'https://storage.azure.com',
    });
    assert.equal(result.ok, false);
  });

  it('gives a container without the label nothing there', async () => {
    await startTold('unlabelled');
    const result = await scenario.sdkToken('unlabelled', { credential: 'managed-identity', resource: VAULT });
    assert.equal(result.ok, false);
  });
});
