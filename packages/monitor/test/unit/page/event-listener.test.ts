import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { Writable } from 'node:stream';
import { FakeClock, settle } from '@msi-proxy/shared/testing';
import { EventListener } from '../../../src/page/server/event-listener.ts';

/** A response whose reader takes what it is sent only when it is told to. */
class HeldResponse extends Writable {
  readonly taken: string[] = [];
  #take: (() => void) | undefined;

  constructor() {
    super({ highWaterMark: 16 });
  }

  writeHead(): this {
    return this;
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#take = () => {
      this.taken.push(chunk.toString());
      done();
    };
  }

  /** The reader has read all that was sent. */
  async read(): Promise<void> {
    while (this.#take !== undefined) {
      const take = this.#take;
      this.#take = undefined;
      take();
      await settle();
    }
  }
}

describe('a reader of the feed', () => {
  let clock: FakeClock;
  let response: HeldResponse;
  let listener: EventListener;

  beforeEach(() => {
    clock = new FakeClock();
    response = new HeldResponse();
    listener = new EventListener({ response: response as unknown as ServerResponse, clock });
  });

  it('gets events in the form of server-sent events', async () => {
    listener.sendWhole('status', '{"a":1}');
    await response.read();
    listener.sendChange('changes', '{"b":2}');
    await response.read();
    assert.deepEqual(response.taken, [
      'event: status\ndata: {"a":1}\n\n',
      'event: changes\ndata: {"b":2}\n\n',
    ]);
    assert.equal(listener.isStale, false);
  });

  it('that does not read has one event waiting at most, and needs the whole status afterwards', async () => {
    listener.sendWhole('status', '1');
    for (let count = 0; count < 5; count += 1) {
      listener.sendChange('changes', '2');
      listener.sendBeat('beat', '3');
    }
    assert.equal(listener.isStale, true);
    await response.read();
    assert.deepEqual(response.taken, ['event: status\ndata: 1\n\n']);
    listener.sendWhole('status', '4');
    assert.equal(listener.isStale, false);
  });

  it('that goes on not reading is let go, but not one that was slow for a moment', async () => {
    listener.sendWhole('status', '1');
    await clock.advance(14_000);
    await response.read();
    listener.sendChange('changes', '2');
    await clock.advance(14_000);
    listener.sendChange('changes', '3');
    assert.equal(response.destroyed, false);
    await clock.advance(2_000);
    listener.sendChange('changes', '4');
    assert.equal(response.destroyed, true);
  });
});
