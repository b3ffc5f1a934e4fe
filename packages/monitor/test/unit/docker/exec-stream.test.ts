import assert from 'node:assert/strict';
import { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { settle } from '@msi-proxy/shared/testing';
import { createExecStream, readOutput } from '../../../src/docker/exec-stream.ts';

function frame(stream: number, payload: string | Buffer): Buffer {
  const body = Buffer.from(payload);
  const header = Buffer.alloc(8);
  header[0] = stream;
  header.writeUInt32BE(body.length, 4);
  return Buffer.concat([header, body]);
}

/** The engine's end of a hijacked connection. */
class FakeConnection extends Duplex {
  readonly received: string[] = [];

  override _read(): void {
    // Tests push.
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.received.push(chunk.toString());
    done();
  }
}

describe('ExecStream', () => {
  let connection: FakeConnection;

  beforeEach(() => {
    connection = new FakeConnection();
  });

  it('takes the two outputs apart, also when the connection is cut at every byte', async () => {
    const stream = createExecStream(connection);
    const output = Promise.all([text(stream.stdout), text(stream.stderr)]);
    const bytes = Buffer.concat([frame(1, 'one '), frame(2, 'wrong'), frame(1, ''), frame(1, 'two')]);
    for (const byte of bytes) connection.push(Buffer.from([byte]));
    connection.push(null);
    assert.deepEqual(await output, ['one two', 'wrong']);
    await stream.closed;
  });

  it('takes several frames from one chunk', async () => {
    const stream = createExecStream(connection);
    const output = Promise.all([text(stream.stdout), text(stream.stderr)]);
    connection.push(Buffer.concat([frame(1, 'a'), frame(1, 'b'), frame(2, 'c')]));
    connection.push(null);
    assert.deepEqual(await output, ['ab', 'c']);
  });

  it('passes a payload on before the whole of it is there', async () => {
    const { stdout } = createExecStream(connection);
    connection.push(frame(1, 'first second').subarray(0, 8 + 5));
    await settle();
    assert.equal(String(stdout.read()), 'first');
  });

  it('writes standard input to the connection', async () => {
    const { stdin } = createExecStream(connection);
    stdin.write('hello');
    await settle();
    assert.deepEqual(connection.received, ['hello']);
  });

  it('is over, with the outputs ended, when the connection breaks', async () => {
    const stream = createExecStream(connection);
    const output = Promise.all([text(stream.stdout), text(stream.stderr)]);
    connection.destroy(new Error('reset'));
    await stream.closed;
    assert.deepEqual(await output, ['', '']);
  });

  it('is over when it is destroyed while nobody reads, however much has come and whether it has ended', async () => {
    for (let pieces = 1; pieces <= 12; pieces++) {
      connection = new FakeConnection();
      const stream = createExecStream(connection);
      for (let piece = 0; piece < pieces; piece++) connection.push(frame(1, Buffer.alloc(30 * 1024)));
      if (pieces % 2 === 0) connection.push(null);
      await settle();
      stream.destroy();
      await stream.closed;
      assert.ok(connection.destroyed);
    }
  });

  it('holds the command back while an output is not read, and loses nothing', async () => {
    const { stdout } = createExecStream(connection);
    const piece = frame(1, Buffer.alloc(16 * 1024, 'x'));
    await settle();
    let accepted = 0;
    while (accepted < 1000 && connection.push(piece)) {
      accepted++;
      await settle();
    }
    assert.ok(accepted > 1 && accepted < 50, `${accepted} pieces were taken`);
    connection.push(null);
    assert.equal((await text(stdout)).length, (accepted + 1) * 16 * 1024);
  });

  it('refuses output that is longer than 1 MiB', async () => {
    const { stdout } = createExecStream(connection);
    connection.push(frame(1, Buffer.alloc(1024 * 1024 + 1)));
    await assert.rejects(readOutput(stdout), { code: 'MSI_ENGINE_REQUEST' });
  });
});
