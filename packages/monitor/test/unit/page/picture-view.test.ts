import assert from 'node:assert/strict';
import type { ClientState, MonitorStatus } from '@msi-proxy/shared';
import { pictureView } from '../../../src/page/model/picture-view.ts';
import { someStatus } from '../status/support.ts';

const [client] = someStatus().clients;
const [proxy] = someStatus().proxies;
const { guard } = someStatus();

function clientsOf(state: ClientState, count: number): MonitorStatus['clients'] {
  return Array.from({ length: count }, (_, index) => ({
    ...client!,
    containerId: `${state} ${index}`,
    state,
  }));
}

describe('the picture of the VM', () => {
  it('shows clients that reach IMDS by the proxy, and nobody else', () => {
    const answering = { ...proxy!, imds: { state: 'answering' as const } };
    const picture = pictureView(someStatus({ hostname: 'vm-1', proxies: [answering] }));
    assert.equal(picture.vm, 'vm-1');
    assert.deepEqual(picture.clientsToProxy, { kind: 'open', label: 'by host' });
    assert.equal(picture.proxyToImds.kind, 'open');
    assert.deepEqual([picture.imds.tone, picture.imds.word], ['ok', 'answering']);
    assert.equal(picture.othersToImds.kind, 'shut');
    assert.deepEqual([picture.guard.word, picture.guard.detail], ['in place', 'stopped nobody']);
  });

  it('shows where requests wait while no proxy serves, and does not pretend to know of IMDS', () => {
    const gone = pictureView(someStatus({ proxies: [] }));
    assert.deepEqual([gone.clientsToProxy.kind, gone.proxyToImds.kind], ['waiting', 'waiting']);
    assert.equal(gone.imds.word, 'not asked yet');
    const starting = pictureView(
      someStatus({ proxies: [{ ...proxy!, state: 'starting', reason: 'no route' }] }),
    );
    assert.deepEqual(
      starting.proxies.map(({ word, tone, detail }) => [word, tone, detail]),
      [['starting', 'wait', 'no route']],
    );
  });

  it('puts the proxy that serves first, and no more than three', () => {
    const others = ['a', 'b', 'c'].map(name => ({
      ...proxy!,
      containerId: name,
      name,
      state: 'standby' as const,
    }));
    const { proxies } = pictureView(someStatus({ proxies: [...others, proxy!] }));
    assert.deepEqual(
      proxies.map(({ title }) => title),
      ['proxy', 'a', 'b'],
    );
  });

  it('has a mark for each client, problems first, as far as marks can be told apart', () => {
    const { clients } = pictureView(
      someStatus({ clients: [...clientsOf('wired', 200), ...clientsOf('refused', 2)] }),
    );
    assert.equal(clients.title, '202 clients');
    assert.deepEqual(clients.dots.slice(0, 3), ['refused', 'refused', 'wired']);
    assert.equal(clients.dots.length + clients.moreDots, 202);
    assert.deepEqual(clients.counts, [
      { state: 'refused', count: '2' },
      { state: 'wired', count: '200' },
    ]);
  });

  it('says that IMDS fails, and why', () => {
    const imds = { state: 'failing' as const, lastError: 'ECONNREFUSED' };
    const { imds: part } = pictureView(someStatus({ proxies: [{ ...proxy!, imds }] }));
    assert.deepEqual([part.tone, part.word, part.detail], ['bad', 'failing', 'ECONNREFUSED']);
  });

  const stopped = [{ address: '172.17.0.9', attempts: 1_234, lastAt: '' }];
  for (const [what, changes, word, detail, way] of [
    ['counts whom the guard stopped', { stopped }, 'in place', 'stopped 1,234 attempts', 'shut'],
    [
      'shows that audit stops nobody',
      { mode: 'audit', stopped },
      'only counts',
      'would have stopped 1,234 attempts',
      'unguarded',
    ],
    ['shows a guard that is off', { mode: 'off', state: 'off' }, 'off', 'stopped nobody', 'unguarded'],
    [
      'shows rules that are missing',
      { state: 'not-in-place', reason: 'nft failed' },
      'not in place',
      'nft failed',
      'unguarded',
    ],
  ] as const) {
    it(what, () => {
      const picture = pictureView(someStatus({ guard: { ...guard, ...changes } }));
      assert.deepEqual(
        [picture.guard.word, picture.guard.detail, picture.othersToImds.kind],
        [word, detail, way],
      );
    });
  }
});
