import assert from 'node:assert/strict';
import { codeOf, silentLogger } from '@msi-proxy/shared';
import { ensureRoute, moveRoute } from '../../../src/route/route.ts';
import { FakeKernel } from '../support/fake-kernel.ts';
import { FakeWindowsRoutes } from '../support/fake-windows-routes.ts';

describe('the route to IMDS, by platform', () => {
  const routes = [{ dst: 'default', gateway: '172.17.0.1', dev: 'eth0' }];

  it('is set on Linux', async () => {
    const runner = new FakeKernel({ routes, addresses: { eth0: '172.17.0.5' } });
    assert.equal(await ensureRoute({ runner, logger: silentLogger, platform: 'linux' }), 'added');
  });

  it('is set on Windows', async () => {
    const routes = [
      {
        destination: '0.0.0.0',
        netmask: '0.0.0.0',
        gateway: '172.21.192.1',
        interfaceAddress: '172.21.198.75',
        metric: 756,
      },
      {
        destination: '172.21.198.75',
        netmask: '255.255.255.255',
        interfaceAddress: '172.21.198.75',
        metric: 756,
      },
    ];
    const runner = new FakeWindowsRoutes({ routes });
    const options = { runner, logger: silentLogger, platform: 'win32' } as const;
    assert.equal(await ensureRoute(options), 'added');
    const wanted = { address: '172.21.198.75', gateway: '172.21.192.1' };
    assert.equal(await moveRoute(wanted, options), 'in-place');
  });

  it('is left to the operator elsewhere, with a message that says so', async () => {
    const runner = new FakeKernel({ routes, addresses: { eth0: '172.17.0.5' } });
    const options = { runner, logger: silentLogger, platform: 'darwin' } as const;
    const wanted = { address: '172.17.0.5', gateway: '172.17.0.1' };
    for (const attempt of [ensureRoute(options), moveRoute(wanted, options)]) {
      await assert.rejects(attempt, (error: Error) => {
        assert.equal(codeOf(error), 'MSI_ROUTE_NOT_EFFECTIVE');
        assert.match(error.message, /darwin.*MSI_PROXY_ROUTE=off/);
        return true;
      });
    }
    assert.deepEqual(runner.writes, []);
  });
});
