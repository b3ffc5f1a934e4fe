import assert from 'node:assert/strict';
import { MsiProxyError, silentLogger, type CommandRunner, type ErrorCode } from '@msi-proxy/shared';
import { describeRoute, ensureRoute, moveRoute } from '../../../src/route/linux-route.ts';
import { FakeKernel, type FakeRoute } from '../support/fake-kernel.ts';

const DEFAULT: FakeRoute = { dst: 'default', gateway: '172.17.0.1', dev: 'eth0' };
const IMDS: FakeRoute = { dst: '169.254.169.254', gateway: '172.17.0.1', dev: 'eth0' };
const ADDRESSES = { eth0: '172.17.0.5', eth1: '172.31.250.2' };

function kernelWith(...routes: FakeRoute[]): FakeKernel {
  return new FakeKernel({ routes, addresses: ADDRESSES });
}

function options(runner: CommandRunner) {
  return { runner, logger: silentLogger };
}

function failure(code: ErrorCode, text: RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof MsiProxyError);
    assert.equal(error.code, code);
    assert.match(error.message, text);
    return true;
  };
}

describe('the route to IMDS', () => {
  it('is added through the default gateway', async () => {
    const kernel = kernelWith(DEFAULT);
    assert.equal(await ensureRoute(options(kernel)), 'added');
    assert.deepEqual(kernel.state.routes, [DEFAULT, IMDS]);
  });

  it('is left alone when it is right', async () => {
    const kernel = kernelWith(DEFAULT, IMDS);
    assert.equal(await ensureRoute(options(kernel)), 'in-place');
    assert.deepEqual(kernel.writes, []);
  });

  const wrong: [name: string, route: FakeRoute][] = [
    ['another gateway', { ...IMDS, gateway: '172.17.0.99' }],
    ['another interface', { ...IMDS, dev: 'eth1' }],
    ['no gateway, as if IMDS were among the containers', { dst: IMDS.dst, dev: 'eth0' }],
  ];
  for (const [name, route] of wrong) {
    it(`is replaced when it goes through ${name}`, async () => {
      const kernel = kernelWith(DEFAULT, route);
      assert.equal(await ensureRoute(options(kernel)), 'added');
      assert.deepEqual(kernel.state.routes, [DEFAULT, IMDS]);
    });
  }

  it('is replaced when there is a second one', async () => {
    const kernel = kernelWith(DEFAULT, IMDS, { ...IMDS, dev: 'eth1' });
    await ensureRoute(options(kernel));
    assert.equal(kernel.writes.length, 1);
  });

  it('takes the first of several default gateways, which is the one the kernel uses', async () => {
    const kernel = kernelWith(DEFAULT, { dst: 'default', gateway: '172.31.250.1', dev: 'eth1' });
    await ensureRoute(options(kernel));
    assert.deepEqual(kernel.writes, ['ip route replace 169.254.169.254/32 via 172.17.0.1 dev eth0']);
  });

  it('cannot be set on a network without a gateway', async () => {
    const noGateway: [FakeRoute[], string][] = [
      [[], 'nothing'],
      [[{ dst: 'default', dev: 'eth0' }], 'a default route without gateway'],
    ];
    for (const [routes, what] of noGateway) {
      const kernel = kernelWith(...routes);
      await assert.rejects(
        ensureRoute(options(kernel)),
        failure('MSI_ROUTE_NO_GATEWAY', /not internal/),
        what,
      );
      assert.deepEqual(kernel.writes, []);
    }
  });

  it('says which capability is missing', async () => {
    const kernel = kernelWith(DEFAULT);
    kernel.refusal = 'RTNETLINK answers: Operation not permitted\n';
    await assert.rejects(
      ensureRoute(options(kernel)),
      failure('MSI_ROUTE_NO_CAPABILITY', /NET_ADMIN.*MSI_PROXY_ROUTE=off/),
    );
  });

  it('quotes the kernel when it refuses for another reason', async () => {
    const kernel = kernelWith(DEFAULT);
    kernel.refusal = 'Error: Nexthop has invalid gateway.\n';
    await assert.rejects(
      ensureRoute(options(kernel)),
      failure('MSI_ROUTE_NOT_EFFECTIVE', /route replace .*: Error: Nexthop has invalid gateway\.$/),
    );
  });

  it('is read back: a write without effect is an error that says where the packets go', async () => {
    const kernel = kernelWith(DEFAULT, { ...IMDS, gateway: '172.17.0.99' });
    kernel.ignoresWrites = true;
    await assert.rejects(
      ensureRoute(options(kernel)),
      failure('MSI_ROUTE_NOT_EFFECTIVE', /172\.17\.0\.1 \(eth0\), but goes through 172\.17\.0\.99 \(eth0\)/),
    );
  });

  const broken: [name: string, respond: CommandRunner['run'], text: RegExp][] = [
    [
      'the program is not installed',
      () => Promise.reject(new MsiProxyError('MSI_WIRING_NO_CAPABILITY', 'The program ip is not installed')),
      /not installed/,
    ],
    [
      'the program does not know JSON, as that of busybox',
      () => Promise.resolve({ exitCode: 1, stdout: '', stderr: "ip: unrecognized option 'json'\n" }),
      /unrecognized option/,
    ],
    [
      'the program prints something else',
      () => Promise.resolve({ exitCode: 0, stdout: 'default via 172.17.0.1\n', stderr: '' }),
      /route show default.*default via/,
    ],
  ];
  for (const [name, run, text] of broken) {
    it(`cannot be managed when ${name}`, async () => {
      await assert.rejects(ensureRoute(options({ run })), failure('MSI_ROUTE_NOT_EFFECTIVE', text));
    });
  }

  it('is told in words', async () => {
    assert.equal(
      await describeRoute(options(kernelWith(DEFAULT, IMDS))),
      '169.254.169.254 goes through 172.17.0.1 (eth0)',
    );
    const onLink = kernelWith({ dst: '169.254.0.0/16', dev: 'eth0' });
    await assert.rejects(
      describeRoute(options(onLink)),
      failure('MSI_ROUTE_NOT_EFFECTIVE', /169\.254\.169\.254/),
    );
  });

  describe('when it is moved', () => {
    it('goes through the network on which the proxy has the address', async () => {
      const kernel = kernelWith(DEFAULT, IMDS);
      const wanted = { address: '172.31.250.2', gateway: '172.31.250.1' };
      assert.equal(await moveRoute(wanted, options(kernel)), 'added');
      assert.deepEqual(kernel.state.routes, [
        DEFAULT,
        { dst: '169.254.169.254', gateway: '172.31.250.1', dev: 'eth1' },
      ]);
      kernel.writes.length = 0;
      assert.equal(await moveRoute(wanted, options(kernel)), 'in-place');
      assert.deepEqual(kernel.writes, []);
    });

    it('stays where it is when no interface has the address', async () => {
      const kernel = kernelWith(DEFAULT, IMDS);
      await assert.rejects(
        moveRoute({ address: '10.0.0.9', gateway: '10.0.0.1' }, options(kernel)),
        failure('MSI_ROUTE_NO_GATEWAY', /10\.0\.0\.9/),
      );
      assert.deepEqual(kernel.writes, []);
    });
  });
});

describe('the route to IMDS of a proxy that has its address', () => {
  const WANTED = { address: '172.31.250.2', gateway: '172.31.250.1', holdsImdsAddress: true };
  const ALL_WRITES = [
    'ip route replace default via 172.31.250.1 dev eth1 table 43',
    'ip rule add priority 200 from 172.31.250.2 lookup 43',
    'ip route replace 169.254.169.254/32 via 172.31.250.1 dev eth1 table 42',
    'ip rule add priority 10 to 169.254.169.254/32 iif lo lookup 42',
    'ip rule add priority 100 lookup local',
    'ip rule delete priority 0 lookup local',
    'ip route delete 169.254.169.254/32',
  ];

  it('is set before it has the address', async () => {
    const kernel = kernelWith(DEFAULT, IMDS);
    assert.equal(await moveRoute(WANTED, options(kernel)), 'added');
    assert.deepEqual(kernel.writes, ALL_WRITES);
  });

  it('is left alone when it is right', async () => {
    const kernel = kernelWith(DEFAULT, IMDS);
    await moveRoute(WANTED, options(kernel));
    kernel.writes.length = 0;
    assert.equal(await moveRoute(WANTED, options(kernel)), 'in-place');
    assert.deepEqual(kernel.writes, []);
  });

  it('is set by the proxy itself when it starts with the address', async () => {
    const kernel = new FakeKernel({
      routes: [DEFAULT],
      addresses: { ...ADDRESSES, eth2: '169.254.169.254' },
    });
    assert.equal(await ensureRoute(options(kernel)), 'added');
    assert.equal(kernel.writes.at(-1), 'ip rule delete priority 0 lookup local');
  });

  for (let done = 0; done < ALL_WRITES.length; done += 1) {
    it(`is completed where a process was stopped after ${done} of its steps`, async () => {
      const kernel = kernelWith(DEFAULT, IMDS);
      for (const command of ALL_WRITES.slice(0, done)) {
        const [file = '', ...argv] = command.split(' ');
        await kernel.run(file, argv);
      }
      kernel.writes.length = 0;
      assert.equal(await moveRoute(WANTED, options(kernel)), 'added');
      assert.deepEqual(kernel.writes, ALL_WRITES.slice(done));
    });
  }
});
