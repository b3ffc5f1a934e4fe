import assert from 'node:assert/strict';
import { MsiProxyError, silentLogger, type CommandRunner, type ErrorCode } from '@msi-proxy/shared';
import { describeRoute, ensureRoute, moveRoute } from '../../../src/route/windows-route.ts';
import {
  FakeWindowsRoutes,
  type FakeWindowsRoute,
  type WindowsLanguage,
} from '../support/fake-windows-routes.ts';

const OWN = '172.21.198.75';
const HOST_MASK = '255.255.255.255';
const LOOPBACK: FakeWindowsRoute = {
  destination: '127.0.0.0',
  netmask: '255.0.0.0',
  interfaceAddress: '127.0.0.1',
  metric: 331,
};
const LINK: FakeWindowsRoute = {
  destination: OWN,
  netmask: HOST_MASK,
  interfaceAddress: OWN,
  metric: 5256,
};
const SECOND_LINK: FakeWindowsRoute = {
  ...LINK,
  destination: '172.31.250.2',
  interfaceAddress: '172.31.250.2',
};
const DEFAULT: FakeWindowsRoute = {
  destination: '0.0.0.0',
  netmask: '0.0.0.0',
  gateway: '172.21.192.1',
  interfaceAddress: OWN,
  metric: 756,
};
const IMDS: FakeWindowsRoute = {
  destination: '169.254.169.254',
  netmask: HOST_MASK,
  gateway: '172.21.192.1',
  interfaceAddress: OWN,
  metric: 1,
};
const ADD = 'route add 169.254.169.254 mask 255.255.255.255 172.21.192.1 metric 1';

function windowsWith(...routes: FakeWindowsRoute[]): FakeWindowsRoutes {
  return new FakeWindowsRoutes({ routes: [LOOPBACK, LINK, SECOND_LINK, ...routes] });
}

function options(
  runner: CommandRunner,
  pause: (millis: number) => Promise<unknown> = () => Promise.resolve(),
) {
  return { runner, logger: silentLogger, pause };
}

function failure(code: ErrorCode, text: RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof MsiProxyError);
    assert.equal(error.code, code);
    assert.match(error.message, text);
    return true;
  };
}

function imdsRoutes(windows: FakeWindowsRoutes): FakeWindowsRoute[] {
  return windows.routes.filter(({ destination }) => destination === IMDS.destination);
}

describe('the route to IMDS on Windows', () => {
  for (const language of ['en', 'de', 'ja'] satisfies WindowsLanguage[]) {
    it(`is added through the default gateway, for as long as Windows runs (${language})`, async () => {
      const windows = new FakeWindowsRoutes({ routes: [LOOPBACK, LINK, DEFAULT], language });
      assert.equal(await ensureRoute(options(windows)), 'added');
      assert.deepEqual(windows.writes, [ADD]);
      assert.equal(await ensureRoute(options(windows)), 'in-place');
      assert.deepEqual(windows.writes, [ADD]);
    });
  }

  it('takes the default route with the lowest metric', async () => {
    const worse = { ...DEFAULT, gateway: '172.31.250.1', interfaceAddress: '172.31.250.2', metric: 5256 };
    for (const defaults of [
      [DEFAULT, worse],
      [worse, DEFAULT],
    ]) {
      const windows = windowsWith(...defaults);
      await ensureRoute(options(windows));
      assert.deepEqual(windows.writes, [ADD]);
    }
  });

  it('is replaced when it goes another way, or more than one', async () => {
    const other = { ...IMDS, gateway: '172.21.192.99' };
    for (const wrong of [[other], [IMDS, other], [other, { ...IMDS, metric: 9 }]]) {
      const windows = windowsWith(DEFAULT, ...wrong);
      assert.equal(await ensureRoute(options(windows)), 'added');
      assert.deepEqual(imdsRoutes(windows), [IMDS]);
    }
  });

  it('waits for the default route of a container that has just started', async () => {
    const windows = windowsWith();
    const pauses: number[] = [];
    const outcome = await ensureRoute(
      options(windows, millis => {
        if (pauses.push(millis) === 3) windows.routes.push(DEFAULT);
        return Promise.resolve();
      }),
    );
    assert.equal(outcome, 'added');
    assert.deepEqual(pauses, [250, 250, 250]);
  });

  it('cannot be set on a network without a gateway', async () => {
    const windows = windowsWith({ ...LINK, destination: '0.0.0.0', netmask: '0.0.0.0' });
    await assert.rejects(ensureRoute(options(windows)), failure('MSI_ROUTE_NO_GATEWAY', /NAT network/));
    assert.deepEqual(windows.writes, []);
  });

  it('is read back: without rights, Windows says so in its language and may exit with 0', async () => {
    const windows = windowsWith(DEFAULT);
    windows.isUnprivileged = true;
    await assert.rejects(
      ensureRoute(options(windows)),
      failure(
        'MSI_ROUTE_NOT_EFFECTIVE',
        /by no route of its own.*ContainerAdministrator.*requires elevation/,
      ),
    );
  });

  it('cannot go anywhere while the address is this container’s own', async () => {
    const windows = windowsWith(DEFAULT, { ...LINK, destination: IMDS.destination, metric: 0 });
    await assert.rejects(
      ensureRoute(options(windows)),
      failure('MSI_ROUTE_NOT_EFFECTIVE', /goes nowhere \(on-link\)/),
    );
  });

  const broken: [name: string, respond: CommandRunner['run'], text: RegExp][] = [
    [
      'the program is not there',
      () =>
        Promise.reject(new MsiProxyError('MSI_WIRING_NO_CAPABILITY', 'The program route is not installed')),
      /not installed/,
    ],
    [
      'the program prints something else',
      () => Promise.resolve({ exitCode: 1, stdout: '', stderr: 'ROUTE: unknown option\r\n' }),
      /printed no routes: exit code 1, ROUTE: unknown option/,
    ],
  ];
  for (const [name, run, text] of broken) {
    it(`cannot be managed when ${name}`, async () => {
      await assert.rejects(ensureRoute(options({ run })), failure('MSI_ROUTE_NOT_EFFECTIVE', text));
    });
  }

  it('is told in words', async () => {
    assert.equal(
      await describeRoute({ runner: windowsWith(LOOPBACK, LINK, DEFAULT, IMDS), logger: silentLogger }),
      `169.254.169.254 goes through 172.21.192.1 (${OWN})`,
    );
    await assert.rejects(
      describeRoute({ runner: windowsWith(LOOPBACK, LINK, DEFAULT), logger: silentLogger }),
      /There is no route to 169\.254\.169\.254/,
    );
  });

  describe('when it is moved', () => {
    it('goes through the network on which the proxy has the address', async () => {
      const windows = windowsWith(DEFAULT, IMDS);
      const wanted = { address: '172.31.250.2', gateway: '172.31.250.1' };
      assert.equal(await moveRoute(wanted, options(windows)), 'added');
      assert.deepEqual(imdsRoutes(windows), [
        { ...IMDS, gateway: '172.31.250.1', interfaceAddress: '172.31.250.2' },
      ]);
      assert.equal(await moveRoute(wanted, options(windows)), 'in-place');
      assert.equal(windows.writes.length, 2);
    });

    it('stays where it is when no interface has the address', async () => {
      const windows = windowsWith(DEFAULT, IMDS);
      await assert.rejects(
        moveRoute({ address: '10.0.0.9', gateway: '10.0.0.1' }, options(windows)),
        failure('MSI_ROUTE_NO_GATEWAY', /10\.0\.0\.9/),
      );
      assert.deepEqual(windows.writes, []);
    });
  });
});
