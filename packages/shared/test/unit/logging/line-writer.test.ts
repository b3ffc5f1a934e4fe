import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { createLogger } from '@msi-proxy/shared';
import { settle } from '@msi-proxy/shared/testing';
import { lineWriter } from '../../../src/logging/line-writer.ts';

const MEBIBYTE = 1024 * 1024;

/** A pipe whose reader stops, and goes on, when the test says so. */
class FakePipe extends Writable {
  readonly read: string[] = [];
  isRead = true;
  #waiting: (() => void) | undefined;

  constructor() {
    super({ decodeStrings: false });
  }

  override _write(chunk: string, _encoding: BufferEncoding, done: (error?: Error) => void): void {
    const take = () => {
      this.read.push(chunk);
      done();
    };
    if (this.isRead) take();
    else this.#waiting = take;
  }

  async resume(): Promise<void> {
    this.isRead = true;
    const take = this.#waiting;
    this.#waiting = undefined;
    take?.();
    await settle();
  }

  /** Whoever read it has gone for good, as with EPIPE. */
  break(): void {
    this.#waiting = undefined;
    this.destroy(new Error('EPIPE'));
  }
}

describe('the lines of the log', () => {
  let pipe: FakePipe;
  let lines: Writable;

  beforeEach(() => {
    pipe = new FakePipe();
    lines = lineWriter(pipe, count => `${count} missing\n`);
  });

  function write(count: number, length = 1_000): void {
    for (let index = 0; index < count; index += 1) lines.write(`${'x'.repeat(length - 1)}\n`);
  }

  it('are written at once, while they are read', () => {
    write(3);
    assert.equal(pipe.read.length, 3);
  });

  it('wait for a reader that is slow, all of them', async () => {
    pipe.isRead = false;
    write(1_000);
    await pipe.resume();
    assert.equal(pipe.read.length, 1_000);
    assert.ok(!pipe.read.some(line => line.includes('missing')));
  });

  it('are left out when nobody reads, so that what waits stays bounded', () => {
    pipe.isRead = false;
    write(10_000);
    assert.ok(pipe.writableLength <= MEBIBYTE + 1_000, String(pipe.writableLength));
    assert.equal(lines.writableLength, 0);
  });

  it('tell how many were left out as soon as all that waited has been read', async () => {
    pipe.isRead = false;
    write(10_000);
    await pipe.resume();
    const written = pipe.read.length - 1;
    assert.equal(pipe.read.at(-1), `${10_000 - written} missing\n`);
    write(1);
    assert.equal(pipe.read.length, written + 2);
    assert.equal(pipe.read.at(-1)?.length, 1_000);
  });

  it('have one gap, not many small ones, while a slow reader catches up', async () => {
    pipe.isRead = false;
    write(10_000);
    const catchingUp = pipe.resume();
    pipe.isRead = false;
    write(10);
    await catchingUp;
    await pipe.resume();
    assert.equal(pipe.read.filter(line => line.includes('missing')).length, 1);
  });

  it('are no reason to fail for one whose reader has gone', () => {
    pipe.on('error', () => undefined);
    pipe.isRead = false;
    write(10_000);
    pipe.break();
    write(10);
    assert.equal(lines.errored, null);
  });

  it('are missing in words of the logger', async () => {
    const logger = createLogger({ component: 'proxy', level: 'error', stream: pipe });
    pipe.isRead = false;
    for (let index = 0; index < 2_000; index += 1) logger.error('x'.repeat(1_000), { index });
    await pipe.resume();
    const parsed = pipe.read.map(line => JSON.parse(line) as Record<string, unknown>);
    const { time, ...last } = parsed.at(-1)!;
    assert.equal(typeof time, 'string');
    assert.deepEqual(last, {
      level: 'warn',
      msg: 'The log was not read for a while; lines are missing',
      component: 'proxy',
      lines: 2_000 - parsed.length + 1,
    });
  });
});
