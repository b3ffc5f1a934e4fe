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
    assert.equal(String(lines[0]?.[1]['resource']).length, 200);
  });

  it('writes a denial once in ten seconds, and then how often it was repeated', async () => {
    for (let count = 0; count < 50; count += 1) audit.write(DENIED);
    assert.equal(lines.length, 1);
    assert.equal(lines[0]?.[0], 'warn');
    assert.ok(!('repeated' in lines[0][1]));
    await clock.advance(10_000);
    audit.write(DENIED);
    assert.equal(lines[1]?.[1]['repeated'], 49);
    await clock.advance(10_000);
    audit.write(DENIED);
    assert.ok(!('repeated' in lines[2]![1]));
  });

  it('takes another reason, container, group or address for another denial', () => {
    audit.write(DENIED);
    audit.write({ ...DENIED, reason: 'resource-not-granted' });
    audit.write({ ...DENIED, caller: callerAt('172.17.0.2', { containerId: 'd'.repeat(64) }) });
    audit.write({ ...DENIED, group: 'instance' });
    audit.write({ ...DENIED, address: '172.17.0.3' });
    assert.equal(lines.length, 5);
  });

  it('forgets the oldest of very many denials, not the newest', () => {
    for (let count = 0; count <= 1_000; count += 1) audit.write({ ...DENIED, address: `10.0.0.${count}` });
    lines.length = 0;
    audit.write({ ...DENIED, address: '10.0.0.1000' });
    assert.equal(lines.length, 0);
    audit.write({ ...DENIED, address: '10.0.0.0' });
    assert.equal(lines.length, 1);
  });
});
