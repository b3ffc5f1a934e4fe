import assert from 'node:assert/strict';
import {
  maskOf,
  parseRoutes,
  parseTcpEndpoints,
  prefixLengthOf,
} from '../../windows-sim/src/machine/linux-network.ts';

describe("the simulated container's own network namespace", () => {
  it('has its routes read from the kernel', () => {
    const text = [
      'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT',
      'eth0\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\t0\t0\t0',
      'eth0\t000011AC\t00000000\t0001\t0\t0\t5\t0000FFFF\t0\t0\t0',
      '',
    ].join('\n');
    assert.deepEqual(parseRoutes(text), [
      { destination: '0.0.0.0', prefixLength: 0, gateway: '172.17.0.1', interfaceName: 'eth0', metric: 0 },
      { destination: '172.17.0.0', prefixLength: 16, interfaceName: 'eth0', metric: 5 },
    ]);
  });

  it('has its connections read from the kernel, and those alone that listen or are established', () => {
    const text = [
      '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode',
      '   0: FEA9FEA9:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0',
      '   1: 020011AC:A3F2 030011AC:0050 01 00000000:00000000 00:00000000 00000000     0        0 2 1 0 20 4 30 10 -1',
      '   2: 020011AC:A3F4 030011AC:0050 06 00000000:00000000 00:00000000 00000000     0        0 0 3 0',
    ].join('\n');
    assert.deepEqual(parseTcpEndpoints(text), [
      { local: '169.254.169.254:80', remote: '0.0.0.0:0', state: 'listening' },
      { local: '172.17.0.2:41970', remote: '172.17.0.3:80', state: 'established' },
    ]);
  });

  it('has masks for lengths of prefixes, and lengths for masks that are some', () => {
    for (const [mask, prefixLength] of [
      ['255.255.255.255', 32],
      ['255.255.240.0', 20],
      ['0.0.0.0', 0],
    ] as const) {
      assert.equal(prefixLengthOf(mask), prefixLength);
      assert.equal(maskOf(prefixLength), mask);
    }
    assert.ok(Number.isNaN(prefixLengthOf('255.0.255.0')));
  });
});
