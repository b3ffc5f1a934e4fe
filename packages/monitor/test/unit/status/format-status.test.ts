import assert from 'node:assert/strict';
import type { ClientStatus, MonitorStatus } from '@msi-proxy/shared';
import { formatStatus as format } from '../../../src/status/index.ts';
import type { Paint } from '../../../src/terminal/paint.ts';
import { CLIENT_ID, someStatus } from './support.ts';

const [client] = someStatus().clients as [ClientStatus];

const NOW_MILLIS = Date.parse('2026-01-01T02:00:02Z');

function formatStatus(
  status: MonitorStatus,
  { width = Infinity, paint = (text: string) => text }: { width?: number; paint?: Paint } = {},
): string {
  return format(status, { width, paint, nowMillis: NOW_MILLIS });
}

function lineOf(text: string, name: string): string {
  return text.split('\n').find(line => line.trim().startsWith(name)) ?? '';
}

describe('formatStatus', () => {
  it('shows engine, guard, proxies and clients', () => {
    const text = formatStatus(someStatus());
    assert.match(text, /Engine: connected, Docker 20\.10\.24 \(API 1\.41\)/);
    assert.match(text, /Guard: enforce, in-place/);
    assert.match(lineOf(text, 'proxy'), /a0a0a0a0a0a0\s+serving\s+2 h\s+172\.31\.250\.2/);
    assert.match(lineOf(text, 'web'), /c1c1c1c1c1c1\s+wired\s+2 h\s+host\s+system\s+172\.17\.0\.2/);
    assert.ok(!text.includes(CLIENT_ID), 'ids are shortened');
  });

  it('says what the guard had to do', () => {
    const at = '2026-01-01T00:01:00.000Z';
    const text = formatStatus(
      someStatus({
        guard: {
          mode: 'audit',
          state: 'in-place',
          repairs: 2,
          lastRepair: { at, differences: ['the table ip msi_proxy is missing'] },
          stopped: [
            { address: '172.17.0.9', containerId: CLIENT_ID, name: 'sneaky', attempts: 7, lastAt: at },
            { address: '172.17.0.10', attempts: 1, lastAt: at },
          ],
        },
      }),
    );
    assert.match(text, /Guard: audit, in-place, mended 2 times, last at 2026-01-01T00:01/);
    assert.match(text, /The guard would have stopped:/);
    assert.match(lineOf(text, 'sneaky'), /c1c1c1c1c1c1\s+172\.17\.0\.9\s+7\s/);
    assert.match(lineOf(text, '(no container)'), /172\.17\.0\.10\s+1\s/);
  });

  it('says why a client is refused, and which identities one has', () => {
    const text = formatStatus(
      someStatus({
        clients: [
          { ...client, name: 'refused', state: 'refused', reason: 'it has both labels' },
          { ...client, name: 'any', policy: { identities: ['*'], resources: [], endpoints: [] } },
          {
            ...client,
            name: 'two',
            policy: { identity: 'system', identities: ['system', 'x'], resources: [], endpoints: [] },
          },
        ],
      }),
    );
    assert.match(lineOf(text, 'refused'), /it has both labels$/);
    assert.match(lineOf(text, 'any'), /host\s+any\s/);
    assert.match(lineOf(text, 'two'), /host\s+system \(\+ x\)\s/);
  });

  it('says what to do when there is nothing yet', () => {
    const text = formatStatus(
      someStatus({
        proxies: [],
        clients: [],
        engine: { state: 'connecting', since: '', lastError: 'no such socket' },
        guard: { mode: 'enforce', state: 'not-in-place', reason: 'no NET_ADMIN', repairs: 0, stopped: [] },
      }),
    );
    assert.match(text, /Proxies: none; .*MSIProxyContainer/);
    assert.match(text, /Clients: none; .*MSIClientContainer/);
    assert.match(text, /Engine: connecting – no such socket/);
    assert.match(text, /Guard: enforce, not-in-place – no NET_ADMIN/);
  });

  it('lets no name or reason forge lines or move the cursor', () => {
    const text = formatStatus(
      someStatus({ clients: [{ ...client, name: 'evil\n  admin', reason: 'a\u001b[2Jb\r\nc' }] }),
    );
    assert.ok(!text.includes('\u001b'));
    assert.equal(lineOf(text, 'admin'), '');
    assert.match(text, /a \[2Jb c$/m);
  });

  it('counts requests and refusals, and gives the last refusal where nothing else is wrong', () => {
    const lastRefusal = { at: '2026-02-03T04:05:06.000Z', reason: 'resource-not-granted' };
    const text = formatStatus(
      someStatus({
        clients: [{ ...client, traffic: { requests: 12, refusals: 3, lastRefusal } }],
      }),
    );
    assert.match(lineOf(text, 'web'), /12\s+3\s+last refusal: resource-not-granted$/);
  });

  it('cuts what does not fit on a terminal, the longest first, and keeps names', () => {
    const long = { ...client, name: 'the-name', state: 'refused', reason: 'because '.repeat(40) } as const;
    const text = formatStatus(someStatus({ clients: [long] }), { width: 120 });
    for (const line of text.split('\n')) assert.ok(line.length <= 120, line);
    assert.match(lineOf(text, 'the-name'), /refused .* because because .*…$/);
  });

  it('colours states, and nothing else moves', () => {
    const paint: Paint = (text, colour) => `<${colour}>${text}</>`;
    const coloured = formatStatus(someStatus(), { paint });
    assert.match(coloured, /Engine: <green>connected<\/>/);
    assert.match(coloured, /<green>serving<\/>/);
    assert.match(coloured, /<green>wired<\/> /);
    assert.equal(coloured.replaceAll(/<\/?\w*>/g, ''), formatStatus(someStatus()));
  });
});
