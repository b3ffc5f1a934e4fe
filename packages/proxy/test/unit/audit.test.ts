import assert from 'node:assert/strict';
import { silentLogger, type IdentityRef, type LogFields, type Logger } from '@msi-proxy/shared';
import { FakeClock } from '@msi-proxy/shared/testing';
import { AuditLog, type AuditRecord } from '../../src/audit.ts';
import { callerAt } from './support/callers.ts';

const ALLOWED: AuditRecord = {
  address: '172.17.0.2',
  caller: callerAt('172.17.0.2'),
  group: 'token',
  identity: { kind: 'system' },
  resource: 'https://vault.azure.net',
  verdict: 'allowed',
  status: 200,
  durationMillis: 1.2345,
};
const DENIED: AuditRecord = { ...ALLOWED, verdict: 'denied', reason: 'identity-not-granted', status: 403 };

describe('the audit log', () => {
  let clock: FakeClock;
  let lines: [level: string, fields: LogFields][];
  let audit: AuditLog;

  beforeEach(() => {
    clock = new FakeClock();
    lines = [];
    const logger: Logger = {
      ...silentLogger,
      info: (_message, fields = {}) => lines.push(['info', fields]),
      warn: (_message, fields = {}) => lines.push(['warn', fields]),
    };
    audit = new AuditLog(logger, clock);
  });

  it('says who asked for what, and what came of it', () => {
    audit.write(ALLOWED);
    assert.deepEqual(lines, [
      [
        'info',
        {
          containerId: 'c'.repeat(64),
          container: 'client',
          address: '172.17.0.2',
          group: 'token',
          verdict: 'allowed',
          status: 200,
          identity: 'system',
          resource: 'https://vault.azure.net',
          durationMillis: 1.2,
        },
      ],
    ]);
  });

  it('writes what is allowed again and again once in ten seconds too', async () => {
    for (let count = 0; count < 3; count += 1) audit.write(ALLOWED);
    assert.equal(lines.length, 1);
    await clock.advance(10_000);
    audit.write(ALLOWED);
    assert.equal(lines[1]?.[1]['repeated'], 2);
  });

  it('writes each allowed request that differs in identity, resource or where its answer came from', () => {
    const identity: IdentityRef = { kind: 'client-id', id: '00000000-0000-0000-0000-000000000007' };
    audit.write(ALLOWED);
    audit.write({ ...ALLOWED, identity });
    audit.write({ ...ALLOWED, askedIdentity: identity });
    audit.write({ ...ALLOWED, resource: 'https://storage.azure.com' });
    audit.write({ ...ALLOWED, via: 'cache' });
    assert.equal(lines.length, 5);
  });

  it('warns of what is allowed only because policies are not enforced', () => {
    audit.write({ ...ALLOWED, verdict: 'would-deny', reason: 'resource-not-granted' });
    assert.equal(lines[0]?.[0], 'warn');
    assert.equal(lines[0][1]['verdict'], 'would-deny');
  });

  it('shortens what a client may make as long as it likes', () => {
    audit.write({ ...ALLOWED, resource: 'x'.repeat(4_000) });
    assert.equal(lines[0]?.[1]['resource'], `${'x'.repeat(200)}…`);
  });

  for (const { what, sent, written } of [
    { what: 'moves the cursor of a terminal', sent: 'a\u009b2Jb', written: 'a\\u{9b}2Jb' },
    { what: 'turns the direction of the text', sent: 'a\u202eb', written: 'a\\u{202e}b' },
  ]) {
    it(`writes nothing that ${what}`, () => {
      audit.write({ ...ALLOWED, resource: sent });
      assert.equal(lines[0]?.[1]['resource'], written);
    });
  }

  it('writes a denial once in ten seconds, and then how often it was repeated', async () => {
    for (let count = 0; count < 50; count += 1) audit.write(DENIED);
    assert.equal(lines.length, 1);
    assert.equal(lines[0]?.[0], 'warn');
    assert.ok(!('repeated' in lines[0][1]));
    await clock.advance(10_000);
    assert.equal(lines[1]?.[1]['repeated'], 49);
    assert.ok(!('durationMillis' in lines[1][1]), 'no single request took that long');
    audit.write(DENIED);
    assert.equal(lines.length, 2);
    await clock.advance(10_000);
    assert.equal(lines[2]?.[1]['repeated'], 1);
    await clock.advance(10_000);
    audit.write(DENIED);
    assert.ok(!('repeated' in lines[3]![1]));
    assert.equal(lines.length, 4);
  });

  it('keeps no timer when there is nothing left to count', async () => {
    audit.write(ALLOWED);
    await clock.advance(5_000);
    audit.write(DENIED);
    audit.write(DENIED);
    assert.equal(clock.pendingTimers, 1);
    await clock.advance(30_000);
    assert.equal(lines.length, 3);
    assert.equal(clock.pendingTimers, 0);
  });

  it('writes what it has counted by then when it ends', () => {
    for (const record of [ALLOWED, ALLOWED, DENIED, ALLOWED]) audit.write(record);
    audit.stop();
    assert.deepEqual(
      lines.map(([level, { repeated }]) => [level, repeated]),
      [
        ['info', undefined],
        ['warn', undefined],
        ['info', 2],
      ],
    );
    assert.equal(clock.pendingTimers, 0);
  });

  describe('of a client that names something else each time', () => {
    const LIMIT = 50;
    const resourceOf = (count: number): string => `https://${count}.example`;
    const clientId = (count: number): IdentityRef => ({
      kind: 'client-id',
      id: `00000000-0000-0000-0000-${String(count).padStart(12, '0')}`,
    });
    const total = (): number =>
      lines.reduce((sum, [, { repeated }]) => sum + (typeof repeated === 'number' ? repeated : 1), 0);

    for (const { what, varied } of [
      { what: 'resources', varied: (count: number) => ({ resource: resourceOf(count) }) },
      { what: 'identities', varied: (count: number) => ({ askedIdentity: clientId(count) }) },
    ]) {
      it(`tells the first ${what}, and how many more there were`, async () => {
        for (let count = 0; count < 1_000; count += 1) audit.write({ ...DENIED, ...varied(count) });
        assert.equal(lines.length, LIMIT + 1);
        assert.ok('resource' in lines[LIMIT - 1]![1] && !('varied' in lines[LIMIT - 1]![1]));
        const { resource, identity, askedIdentity, ...fields } = lines[LIMIT]![1];
        assert.deepEqual([resource, identity, askedIdentity], [undefined, undefined, undefined]);
        assert.equal(fields['varied'], true);
        assert.equal(fields['reason'], 'identity-not-granted');
        await clock.advance(10_000);
        assert.equal(lines.length, LIMIT + 2);
        assert.equal(lines.at(-1)?.[1]['repeated'], 1_000 - LIMIT - 1);
        assert.equal(total(), 1_000);
      });
    }

    it('writes no more lines than that in any ten seconds', async () => {
      let most = 0;
      for (let second = 0; second < 60; second += 1) {
        const before = lines.length;
        for (let count = 0; count < 500; count += 1) {
          audit.write({ ...DENIED, resource: resourceOf(second * 500 + count) });
          if (second % 7 === 0) audit.write({ ...DENIED, resource: resourceOf(count) });
        }
        await clock.advance(1_000);
        most = Math.max(most, lines.length - before);
      }
      assert.ok(lines.length <= 6 * 2 * (LIMIT + 1), String(lines.length));
      assert.ok(most <= 2 * (LIMIT + 1), String(most));
    });

    it('tells what another reason is, and all of other clients', () => {
      for (let count = 0; count <= LIMIT; count += 1) audit.write({ ...DENIED, resource: resourceOf(count) });
      lines.length = 0;
      audit.write({ ...DENIED, resource: 'x', reason: 'resource-not-granted' });
      assert.equal(lines[0]?.[1]['reason'], 'resource-not-granted');
      assert.equal(lines[0][1]['varied'], true);
      const other = callerAt('172.17.0.3', { containerId: 'd'.repeat(64) });
      audit.write({ ...DENIED, caller: other, address: other.address, resource: 'y' });
      assert.equal(lines[1]?.[1]['resource'], 'y');
    });

    it('goes on telling what comes often, and tells all when it does so no more', async () => {
      for (let count = 0; count <= LIMIT; count += 1) audit.write({ ...DENIED, resource: resourceOf(count) });
      audit.write({ ...DENIED, resource: resourceOf(0) });
      await clock.advance(10_000);
      assert.equal(lines.at(-1)?.[1]['resource'], resourceOf(0));
      assert.equal(lines.at(-1)?.[1]['repeated'], 1);
      audit.write({ ...DENIED, resource: 'z' });
      assert.equal(lines.at(-1)?.[1]['resource'], 'z');
    });
  });

  it('takes another reason, container, group or address for another denial', () => {
    audit.write(DENIED);
    audit.write({ ...DENIED, reason: 'resource-not-granted' });
    audit.write({ ...DENIED, caller: callerAt('172.17.0.2', { containerId: 'd'.repeat(64) }) });
    audit.write({ ...DENIED, group: 'instance' });
    audit.write({ ...DENIED, address: '172.17.0.3' });
    assert.equal(lines.length, 5);
  });

  it('forgets the oldest of very many denials, not the newest, and writes what it has counted of it', () => {
    const write = (count: number) =>
      audit.write({ ...DENIED, caller: undefined, address: `10.0.0.${count}` });
    for (const count of [0, 0, 0]) write(count);
    for (let count = 1; count <= 4_096; count += 1) write(count);
    assert.equal(lines.at(-1)?.[1]['address'], '10.0.0.0');
    assert.equal(lines.at(-1)?.[1]['repeated'], 2);
    lines.length = 0;
    write(4_096);
    assert.equal(lines.length, 0);
    write(0);
    assert.equal(lines.length, 1);
  });
});
