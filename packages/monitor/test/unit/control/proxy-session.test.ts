import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { CONTROL_PROTOCOL, encodeMessage, silentLogger, type LogFields } from '@msi-proxy/shared';
import { FakeClock, until } from '@msi-proxy/shared/testing';
import { ProxySession } from '../../../src/control/proxy-session.ts';

const WELCOME = {
  type: 'welcome',
  protocol: CONTROL_PROTOCOL,
  sessionId: 's',
  proxyVersion: '9.9.9',
  instanceId: 'i',
  port: 80,
} as const;

function openSession() {
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
  const closed = Promise.withResolvers<undefined>();
  const noted: LogFields[] = [];
  const session = new ProxySession({
    stream: { stdin, stdout, stderr, closed: closed.promise, destroy: () => closed.resolve(undefined) },
    sessionId: 's',
    monitorVersion: '0.0.0',
    clock: new FakeClock(),
    logger: { ...silentLogger, debug: (_message, fields = {}) => noted.push(fields) },
    confirm: () => Promise.resolve({ kind: 'nobody' }),
    onChange: () => undefined,
  });
  return { session, stdin, stdout, noted };
}

describe('the session with a proxy', () => {
  it('does without messages and fields that only a later proxy knows, and answers the others', async () => {
    const { session, stdin, stdout, noted } = openSession();
    const opened = session.open();
    stdout.write('{"type":"preface"}\n');
    stdout.write(encodeMessage({ ...WELCOME, mood: 'good' } as typeof WELCOME));
    assert.equal((await opened).proxyVersion, '9.9.9');
    let sent = '';
    stdin.on('data', (chunk: Buffer) => (sent += chunk.toString()));
    stdout.write('{"type":"preface"}\n{"type":"confirm","requestId":7,"address":"172.17.0.2","why":"x"}\n');
    await until(() => sent.includes('"confirmed"'));
    assert.match(sent, /"requestId":7/);
    assert.equal(session.isOver, false);
    assert.deepEqual(noted, [{ messageType: 'preface' }]);
    session.end();
  });

  it('ends at once with a proxy of another protocol, and says so', async () => {
    const { session, stdout } = openSession();
    const opened = session.open();
    stdout.write(encodeMessage({ ...WELCOME, protocol: CONTROL_PROTOCOL + 1 }));
    await assert.rejects(opened, { code: 'MSI_CONTROL_PROTOCOL', message: /run the same version of both/ });
    assert.equal(session.isOver, true);
  });

  it('lets nothing that the proxy says of its protocol or its route forge or fill the log', async () => {
    const hostile = `1\n${'x'.repeat(100_000)}`;
    const shown = (maxLength: number) => (error: Error) =>
      error.message.length < maxLength && error.message.includes('1\\u{a}x');

    const other = openSession();
    const opened = other.session.open();
    other.stdout.write(encodeMessage({ ...WELCOME, protocol: hostile as unknown as number }));
    await assert.rejects(opened, shown(400));

    const { session, stdout } = openSession();
    const routed = session.setRoute({ address: '172.18.0.2', gateway: '172.18.0.1' });
    stdout.write(encodeMessage({ type: 'route-set', requestId: 1, ok: false, message: hostile }));
    await assert.rejects(routed, shown(600));
    session.end();
  });
});
