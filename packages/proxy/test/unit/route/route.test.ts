import assert from 'node:assert/strict';
import { codeOf, silentLogger } from '@msi-proxy/shared';
import { ensureRoute, moveRoute } from '../../../src/route/route.ts';
import { FakeKernel } from '../support/fake-kernel.ts';

describe('the route to IMDS, by platform', () => {
  const routes = [{ dst: 'default', gateway: '172.17.0.1', dev: 'eth0' }];

  it('is set on Linux', async () => {
    const runner = new FakeKernel({ routes, addresses: { eth0: '172.17.0.5' } });
    assert.equal(await ensureRoute({ runner, logger: silentLogger, platform: 'linux' }), 'added');
  });

  it('is left to the operator elsewhere, with a message that says so', async () => {
    const runner = new FakeKernel({ routes, addresses: { eth0: '172.17.0.5' } });
    const options = { runner, logger: silentLogger, platform: 'win32' } as const;
    const wanted = { address: '172.17.0.5', gateway: '172.17.0.1' };
    for (const attempt of [ensureRoute(options), moveRoute(wanted, options)]) {
      await assert.rejects(attempt, (error: Error) => {
        assert.equal(codeOf(error), 'MSI_ROUTE_NOT_EFFECTIVE');
        assert.match(error.message, /win32.*MSI_PROXY_ROUTE=off/);
        return true;
      });
    }
    assert.deepEqual(runner.writes, []);
  });
});
