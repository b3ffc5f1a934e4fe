import type { Duplex } from 'node:stream';
import { PassThrough, Transform } from 'node:stream';
import type { Gate } from './gate.ts';

/** One command in a container, as the command sees it. */
export interface ExecProcess {
  readonly containerId: string;
  readonly argv: readonly string[];
  readonly user: string | undefined;
  /** Ends when the client has gone away. */
  readonly stdin: PassThrough;
  readonly stdout: PassThrough;
  readonly stderr: PassThrough;
  /** Ends the command; what it wrote before still arrives. */
  readonly exit: (exitCode: number) => void;
  /** Ends the command, but not its connection. */
  readonly abandon: (exitCode: number) => void;
}

export interface ExecRecord {
  readonly id: string;
  readonly containerId: string;
  readonly argv: readonly string[];
  readonly user: string | undefined;
  running: boolean;
  exitCode: number | null;
  /** Cuts the connection, as when the container is killed. */
  kill?: () => void;
}

const STREAM_NUMBERS = { stdout: 1, stderr: 2 } as const;

/** Joins a hijacked connection to a process. While the gate is shut nothing passes, in either direction. */
export function connectExec(connection: Duplex, exec: ExecRecord, gate: Gate): ExecProcess {
  const stdin = new PassThrough();
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  connection.on('error', () => undefined);
  connection.pipe(gated(gate)).pipe(stdin);
  connection.once('close', () => stdin.end());
  stdout.pipe(framed(STREAM_NUMBERS.stdout, gate)).pipe(connection, { end: false });
  stderr.pipe(framed(STREAM_NUMBERS.stderr, gate)).pipe(connection, { end: false });
  exec.running = true;
  exec.kill = () => finish(137, () => connection.destroy());
  const finish = (exitCode: number, close: () => void) => {
    if (!exec.running) return;
    exec.running = false;
    exec.exitCode = exitCode;
    close();
  };
  const { containerId, argv, user } = exec;
  const exit = (exitCode: number) =>
    finish(exitCode, () => {
      // What is on its way through the frames goes first.
      stdout.end();
      stderr.end();
      setImmediate(() => setImmediate(() => connection.end()));
    });
  const abandon = (exitCode: number) => finish(exitCode, () => undefined);
  return { containerId, argv, user, stdin, stdout, stderr, exit, abandon };
}

function gated(gate: Gate): Transform {
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      void gate.pass().then(() => done(null, chunk));
    },
  });
}

function framed(streamNumber: number, gate: Gate): Transform {
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const header = Buffer.from([streamNumber, 0, 0, 0, 0, 0, 0, 0]);
      header.writeUInt32BE(chunk.length, 4);
      void gate.pass().then(() => done(null, Buffer.concat([header, chunk])));
    },
  });
}
