// Sends requests at fixed moments over kept connections and measures each from the moment at which it was due, so that
// a server that stalls is charged for the requests that came meanwhile (no coordinated omission). Started by
// bench/lib/open-loop.ts; prints its result as JSON.
import { connect, type Socket } from 'node:net';
import type { OpenLoopOptions, OpenLoopResult } from '../lib/open-loop.ts';
import { quantile } from '../lib/statistics.ts';

const [text = ''] = process.argv.slice(2);
const options = JSON.parse(text) as OpenLoopOptions;
const { host, port, target, headers, ratePerSecond, seconds } = options;
const head = Object.entries({ Host: host, ...headers })
  .map(([name, value]) => `${name}: ${value}\r\n`)
  .join('');
const message = Buffer.from(`GET ${target} HTTP/1.1\r\n${head}\r\n`);
const intervalMillis = 1_000 / ratePerSecond;
const total = Math.round(ratePerSecond * seconds);
// Whoever has no answer by then counts as failed.
const PATIENCE_MILLIS = 5_000;

/** A connection with one request at a time. */
class Line {
  dueMillis: number | undefined;
  #received = '';
  #socket: Socket | undefined;

  constructor() {
    this.#connect();
  }

  send(dueMillis: number): void {
    this.dueMillis = dueMillis;
    this.#socket ??= this.#connect();
    this.#socket.write(message);
  }

  close(): void {
    this.#socket?.destroy();
    this.#socket = undefined;
  }

  #connect(): Socket {
    const socket = connect({ host, port, noDelay: true });
    socket.on('data', (chunk: Buffer) => {
      if (this.#socket !== socket) return;
      this.#received += chunk.toString('latin1');
      this.#read();
    });
    socket.on('error', () => undefined); // `close` follows
    socket.on('close', () => {
      if (this.#socket !== socket) return; // left before
      this.#socket = undefined;
      this.#received = '';
      this.#finish(0);
    });
    this.#socket = socket;
    return socket;
  }

  #read(): void {
    const end = this.#received.indexOf('\r\n\r\n');
    if (end === -1) return;
    const answerHead = this.#received.slice(0, end);
    const length = Number(/\ncontent-length: (\d+)/i.exec(answerHead)?.[1] ?? Number.NaN);
    // Without a length (a chunked answer) it ends with the last chunk.
    const isWhole = Number.isNaN(length)
      ? this.#received.endsWith('\r\n0\r\n\r\n')
      : this.#received.length >= end + 4 + length;
    if (!isWhole) return;
    this.#received = '';
    if (/\nconnection: close/i.test(answerHead)) this.close();
    this.#finish(Number(answerHead.slice(9, 12)));
  }

  #finish(status: number): void {
    const { dueMillis } = this;
    if (dueMillis === undefined) return;
    this.dueMillis = undefined;
    answered(this, status, performance.now() - dueMillis);
  }
}

const latencies: number[] = [];
const latenesses: number[] = [];
let failures = 0;
let wrongAnswers = 0;
let finished = 0;
let begun = 0;
const waiting: number[] = [];
const idle = Array.from({ length: options.connections }, () => new Line());

function answered(line: Line, status: number, latencyMillis: number): void {
  finished += 1;
  if (status === options.expectedStatus) latencies.push(latencyMillis);
  else {
    failures += 1;
    if (status !== 0) wrongAnswers += 1;
  }
  const next = waiting.shift();
  if (next === undefined) idle.push(line);
  else line.send(next);
}

// Connections first; they are not what is measured.
await new Promise(resolve => {
  setTimeout(resolve, 200);
});
const startMillis = performance.now();
const endMillis = startMillis + seconds * 1_000 + PATIENCE_MILLIS;

function turn(): void {
  const now = performance.now();
  while (begun < total && startMillis + begun * intervalMillis <= now) {
    const dueMillis = startMillis + begun * intervalMillis;
    begun += 1;
    const line = idle.pop();
    if (line === undefined) {
      waiting.push(dueMillis);
    } else {
      latenesses.push(now - dueMillis);
      line.send(dueMillis);
    }
  }
  if (finished === total || now > endMillis) finish();
  // Timers are a millisecond apart at best, which is what is to be measured: it never sleeps.
  else setImmediate(turn);
}

function finish(): void {
  const result: OpenLoopResult = {
    requests: total,
    failures: failures + total - finished,
    wrongAnswers,
    p50Micros: micros(quantile(latencies, 0.5)),
    p90Micros: micros(quantile(latencies, 0.9)),
    p99Micros: micros(quantile(latencies, 0.99)),
    p999Micros: micros(quantile(latencies, 0.999)),
    maxMicros: micros(quantile(latencies, 1)),
    sentLateP99Micros: micros(quantile(latenesses, 0.99)),
  };
  process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0));
}

function micros(millis: number): number {
  return Math.round(millis * 1_000);
}

turn();
