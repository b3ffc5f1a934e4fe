import assert from 'node:assert/strict';
import type { ClientState, MonitorStatus } from '@msi-proxy/shared';
import { findings } from '../../../src/page/model/overview.ts';
import { someStatus } from '../status/support.ts';

const [client] = someStatus().clients;
const [proxy] = someStatus().proxies;

function clientsOf(...states: ClientState[]): MonitorStatus['clients'] {
  return states.map((state, index) => ({ ...client!, containerId: String(index), state }));
}

describe('how the VM is, in sentences', () => {
  const cases: readonly [what: string, changes: Partial<MonitorStatus>, expected: readonly string[]][] = [
    ['one client that is served', {}, ['ok: The one client is served.']],
    ['nobody there', { clients: [] }, ['ok: Ready for clients.']],
    [
      'thousands',
      { clients: clientsOf(...Array<ClientState>(2_000).fill('wired')) },
      ['ok: All 2,000 clients are served.'],
    ],
    [
      'clients with problems, the worst first',
      { clients: clientsOf('wired', 'pending', 'refused', 'refused', 'failed') },
      [
        'bad: 1 of 5 clients could not be wired.',
        'bad: 2 of 5 clients are refused.',
        'wait: 1 of 5 clients waits.',
      ],
    ],
    ['no proxy', { proxies: [] }, ['bad: There is no proxy: one client waits.']],
    [
      'a proxy that does not serve',
      { proxies: [{ ...proxy!, state: 'starting' }], clients: clientsOf('refused') },
      ['bad: No proxy serves.', 'bad: 1 of 1 client is refused.'],
    ],
    [
      'IMDS that fails',
      { proxies: [{ ...proxy!, imds: { state: 'failing', lastError: 'ECONNREFUSED' } }] },
      ['bad: IMDS does not answer the proxy (ECONNREFUSED).'],
    ],
    [
      'an engine that hangs',
      { engine: { ...someStatus().engine, state: 'unresponsive', lastError: 'no answer' } },
      ['bad: The Docker engine does not answer (no answer). Wiring stays as it is.'],
    ],
    [
      'a guard that only counts, which is less than a refused client',
      { guard: { ...someStatus().guard, mode: 'audit' }, clients: clientsOf('refused') },
      ['bad: 1 of 1 client is refused.', 'wait: The guard only counts: it stops nobody.'],
    ],
    [
      'a guard that is not in place',
      { guard: { ...someStatus().guard, state: 'not-in-place', reason: 'nft failed' } },
      ['bad: The guard is not in place: the direct way to IMDS may be open. nft failed'],
    ],
    [
      'no guard at all',
      { guard: { ...someStatus().guard, state: 'unavailable' } },
      ['wait: There is no guard: nobody is kept from going to IMDS past the proxy.'],
    ],
    [
      'a guard that was switched off',
      { guard: { ...someStatus().guard, mode: 'off', state: 'off' } },
      ['wait: The guard is off: the direct way to IMDS is open.'],
    ],
  ];
  for (const [what, changes, expected] of cases) {
    it(what, () => {
      const found = findings(someStatus(changes));
      assert.deepEqual(
        found.map(({ tone, text }) => `${tone}: ${text}`),
        expected,
      );
    });
  }
});
