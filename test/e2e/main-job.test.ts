import assert from 'node:assert/strict';
import { IDENTITY_LABEL, RESOURCES_LABEL } from '@msi-proxy/shared';
import {
  DEFAULT_APP_IDENTITY,
  DEFAULT_DATA_IDENTITY,
} from '../../packages/imds-emulator/src/vm/default-vm.ts';
import { instancePath, tokenClaims, tokenPath, VM_ADDRESS } from '../lab/index.ts';
import { Scenario } from './support/scenario.ts';

const VAULT = 'https://vault.azure.net';

for (const wiring of ['host', 'nat'] as const) {
  describe(`the main job, wired by ${wiring}`, () => {
    let scenario: Scenario;

    before(async () => {
      scenario = await Scenario.start({ wiring });
      await scenario.startMonitor();
      await scenario.startProxy();
      await scenario.untilServing();
      const labels = { [IDENTITY_LABEL]: DEFAULT_APP_IDENTITY.clientId, [RESOURCES_LABEL]: VAULT };
      await scenario.startClient({ name: 'client', labels });
      await scenario.startSdkClient('node-client', 'node', labels);
      await scenario.startSdkClient('python-client', 'python', labels);
      await scenario.startContainer({ name: 'unlabelled' });
      await scenario.untilWired('client', 'node-client', 'python-client');
    });
    after(() => scenario[Symbol.asyncDispose]());

    it("serves instance metadata at Azure's own address", async () => {
      const { status, body } = await scenario.request('client', { path: instancePath('compute/name') });
      assert.deepEqual([status, body], [200, 'vm-emulated']);
    });

    it('gives a token of the identity that the label names to a request that names none', async () => {
      const answer = await scenario.request('client', { path: tokenPath(VAULT) });
      assert.equal(answer.status, 200, answer.body);
      const { appid, aud } = tokenClaims(answer);
      assert.deepEqual([appid, aud], [DEFAULT_APP_IDENTITY.clientId, VAULT]);
    });

    it('refuses another identity, another audience and user data, and IMDS hears nothing of it', async () => {
      await scenario.vm.imds.forgetArrivals();
      for (const path of [
        tokenPath(VAULT, { client_id: DEFAULT_DATA_IDENTITY.clientId }),
        tokenPath('https://management.azure.com'),
        '/metadata/instance/compute/userData?api-version=2021-01-01&format=text',
      ]) {
        const { status } = await scenario.request('client', { path });
        assert.equal(status, 403, path);
      }
      const { connections } = await scenario.vm.imds.arrivals();
      assert.deepEqual(connections, []);
    });

    for (const [language, library] of [
      ['node', '@azure/identity 4'],
      ['python', 'azure-identity'],
    ] as const) {
      for (const credential of ['managed-identity', 'default'] as const) {
        it(`serves the ${credential} credential of the unmodified Azure SDK (${language})`, async () => {
          const request = { library, credential, resource: VAULT };
          const result = await scenario.sdkToken(`${language}-client`, request);
          assert.ok(result.ok, JSON.stringify(result));
          assert.equal(result.claims['appid'], DEFAULT_APP_IDENTITY.clientId);
        });
      }
    }

    it('gives a container without the label nothing, neither by the address nor by the proxy itself', async () => {
      await scenario.vm.imds.forgetArrivals();
      const instance = await scenario.request('unlabelled', {
        path: instancePath('compute/name'),
        timeoutSeconds: 3,
      });
      const token = await scenario.request('unlabelled', { path: tokenPath(VAULT), timeoutSeconds: 3 });
      assert.notEqual(instance.status, 200);
      assert.notEqual(token.status, 200);
      const { connections } = await scenario.vm.imds.arrivals();
      assert.deepEqual(connections, []);
    });

    it("asks IMDS from the VM's own address, over the proxy only", async () => {
      await scenario.vm.imds.forgetArrivals();
      const path = instancePath('compute/vmId');
      await scenario.request('client', { path });
      const { connections } = await scenario.vm.imds.arrivals();
      // The proxy may have kept its connection from before: then there is no new one.
      for (const { remoteAddress } of connections) assert.equal(remoteAddress, VM_ADDRESS);
      const { body } = await scenario.vm.imds.control('GET', '/requests');
      assert.ok(body.includes(path));
    });
  });
}
