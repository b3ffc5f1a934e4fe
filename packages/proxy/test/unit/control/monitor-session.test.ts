import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import {
  CONTROL_PROTOCOL,
  encodeMessage,
  MessageDecoder,
  PROXY_MESSAGE_TYPES,
  silentLogger,
  type MonitorMessage,
  type ProxyMessage,
} from '@msi-proxy/shared';
import { FakeClock, settle } from '@msi-proxy/shared/testing';
import { CallerTable } from '../../../src/callers/caller-table.ts';
import { MonitorSession } from '../../../src/control/monitor-session.ts';
import { callerAt } from '../support/callers.ts';

const A = '172.17.0.2';

/** A connection that stays open after its end, as when the peer does not read; what the peer sends still comes. */
class LingeringSocket extends Duplex {
  readonly sent: ProxyMessage[] = [];
  readonly #decoder = new MessageDecoder<ProxyMessage>(PROXY_MESSAGE_TYPES);

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, written: () => void): void {
    this.sent.push(...this.#decoder.push(chunk));
    written();
  }

  /** Without telling that all has gone out. */
  override _final(): void {}

  destroySoon(): void {
    this.end();
  }

  async receives(message: MonitorMessage): Promise<void> {
    this.push(encodeMessage(message));
    await settle();
  }
}

describe('a session of a monitor', () => {
  let clock: FakeClock;
  let table: CallerTable;
  let socket: LingeringSocket;
  let session: MonitorSession;

  beforeEach(async () => {
    clock = new FakeClock();
    table = new CallerTable(clock);
    socket = new LingeringSocket();
    session = new MonitorSession({
      socket: socket as unknown as Socket,
      table,
      tokens: { list: () => ({ tokens: [], more: 0 }), flush: () => 0 },
      clock,
      logger: silentLogger,
      onHello: () => undefined,
      onRole: () => undefined,
      onStateChange: () => undefined,
      onEnd: () => undefined,
      onRouteMoved: () => undefined,
    });
    session.start();
    const protocol = CONTROL_PROTOCOL;
    await socket.receives({ type: 'hello', protocol, sessionId: 'session', monitorVersion: '0.0.0' });
    await socket.receives({ type: 'snapshot', revision: 1, callers: [callerAt(A)] });
  });

  afterEach(() => {
    socket.destroy();
  });

  function acknowledged(): number[] {
    return socket.sent.filter(message => message.type === 'ack').map(({ revision }) => revision);
  }

  it('changes the table as long as it has not ended', async () => {
    await socket.receives({ type: 'delta', revision: 2, removed: [A], upserted: [] });
    assert.equal(table.get(A), undefined);
    assert.deepEqual(acknowledged(), [1, 2]);
  });

  it('changes nothing any more after its end, also while its connection is still open', async () => {
    session.end();
    await socket.receives({ type: 'delta', revision: 2, removed: [A], upserted: [] });
    assert.notEqual(table.get(A), undefined);
    assert.deepEqual(acknowledged(), [1]);
    assert.ok(!socket.destroyed, 'the connection has gone, so that nothing could come');
  });
});
