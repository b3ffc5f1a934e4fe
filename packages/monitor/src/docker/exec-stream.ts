import { PassThrough, Writable, type Duplex, type Readable } from 'node:stream';
import { MsiProxyError } from '@msi-proxy/shared';
import type { ExecOutput, ExecStream } from './engine-client.ts';

const HEADER_BYTES = 8;
const STDERR = 2;
const MAX_OUTPUT_BYTES = 1024 * 1024;

/** As {@link createExecOutput}, for a connection that carries the command's standard input too. */
export function createExecStream(connection: Duplex): ExecStream {
  return { ...createExecOutput(connection), stdin: connection };
}

/**
 * Takes what the engine sends apart into the command's outputs. Without a terminal the engine puts 8 bytes before each
 * piece of output: the stream's number, three zeros, and the length as big-endian 32 bits (Docker Engine API,
 * "Attach to a container: stream format").
 */
export function createExecOutput(connection: Readable): ExecOutput {
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  const demultiplexer = createDemultiplexer(stdout, stderr);
  const closed = new Promise<void>(resolve => {
    demultiplexer.once('close', resolve);
  });
  // Nobody could make use of an error: that the stream is over is told by `closed`.
  for (const stream of [connection, demultiplexer, stdout, stderr]) stream.on('error', () => undefined);
  // After a proper end, the rest is still on its way to the readers; after a cut, there is no more to come.
  connection.once('close', () => {
    if (!connection.readableEnded) demultiplexer.destroy();
  });
  demultiplexer.once('close', () => {
    connection.destroy();
    stdout.end();
    stderr.end();
  });
  connection.pipe(demultiplexer);
  return {
    stdout,
    stderr,
    closed,
    destroy: () => {
      connection.destroy();
      demultiplexer.destroy();
    },
  };
}

function createDemultiplexer(stdout: Writable, stderr: Writable): Writable {
  const header = Buffer.alloc(HEADER_BYTES);
  let headerBytes = 0;
  let payloadBytes = 0;
  let target = stdout;
  return new Writable({
    write(chunk: Buffer, _encoding, done) {
      let full: Writable | undefined;
      for (let rest = chunk; rest.length > 0;) {
        if (payloadBytes === 0) {
          const copied = rest.copy(header, headerBytes);
          headerBytes += copied;
          rest = rest.subarray(copied);
          if (headerBytes < HEADER_BYTES) break;
          headerBytes = 0;
          target = header[0] === STDERR ? stderr : stdout;
          payloadBytes = header.readUInt32BE(4);
        } else {
          const payload = rest.subarray(0, payloadBytes);
          payloadBytes -= payload.length;
          rest = rest.subarray(payload.length);
          if (!target.write(payload)) full = target;
        }
      }
      // A reader that is slow holds back the command instead of filling our memory.
      if (full === undefined || full.destroyed) done();
      else full.once('drain', done);
    },
  });
}

/**
 * Reads a stream to its end.
 * @throws {MsiProxyError} `MSI_ENGINE_REQUEST` when it is longer than 1 MiB
 */
export async function readOutput(stream: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_OUTPUT_BYTES) {
      throw new MsiProxyError(
        'MSI_ENGINE_REQUEST',
        `A command in a container wrote more than ${MAX_OUTPUT_BYTES} bytes`,
      );
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
