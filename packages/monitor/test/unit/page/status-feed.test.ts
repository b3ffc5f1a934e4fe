import assert from 'node:assert/strict';
import { createServer, get, type IncomingMessage } from 'node:http';
import { once } from 'node:events';
import { connect as connectTo, type AddressInfo } from 'node:net';
import { silentLogger, type MonitorStatus } from '@msi-proxy/shared';
import { Disposables, FakeClock, until } from '@msi-proxy/shared/testing';
import { MAX_LISTENERS, StatusFeed } from '../../../src/page/server/status-feed.ts';
import { someStatus } from '../status/support.ts';

interface Reader {
  readonly events: { readonly event: string; readonly data: unknown }[];
  readonly response: IncomingMessage;
  readonly isOver: () => boolean;
  leave(): void;
}

describe('the feed of the status', () => {
  const disposables = new Disposables();
  let clock: FakeClock;
  let feed: StatusFeed;
  let status: () => MonitorStatus;
  let looked: number;
  let refresh: () => Promise<void>;
  let port: number;

  beforeEach(async () => {
    clock = new FakeClock();
    status = () => someStatus();
    looked = 0;
    refresh = () => Promise.resolve();
    feed = new StatusFeed({
      clock,
      logger: silentLogger,
      refresh: () => refresh(),
      status: () => {
        looked += 1;
        return status();
      },
    });
    const server = createServer((_request, response) => {
      if (!feed.add(response)) response.writeHead(503).end();
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    ({ port } = server.address() as AddressInfo);
    disposables.add({
      [Symbol.asyncDispose]: async () => {
        feed.stop();
        server.closeAllConnections();
        server.close();
        await once(server, 'close');
      },
    });
  });
  afterEach(async () => {
    await disposables.dispose();
    assert.equal(clock.pendingTimers, 0, 'a timer was left behind');
  });

  async function connect(): Promise<Reader> {
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      get({ host: '127.0.0.1', port, agent: false }, resolve).on('error', reject);
    });
    return { ...read(response), response };
  }

  function read(response: IncomingMessage): Omit<Reader, 'response'> {
    const events: Reader['events'] = [];
    let pending = '';
    let over = false;
    response.setEncoding('utf8').on('data', (chunk: string) => {
      const blocks = (pending + chunk).split('\n\n');
      pending = blocks.pop() ?? '';
      for (const block of blocks) {
        const [, event = '', data = ''] = /^event: (.*)\ndata: (.*)$/.exec(block) ?? [];
        events.push({ event, data: JSON.parse(data) });
      }
    });
    response.on('close', () => (over = true)).on('error', () => undefined);
    return { events, isOver: () => over, leave: () => response.destroy() };
  }

  async function connected(): Promise<Reader> {
    const reader = await connect();
    await until(() => namesOf(reader).includes('status'));
    return reader;
  }

  function namesOf({ events }: Reader): string[] {
    return events.map(({ event }) => event);
  }

  it('begins with the time and the whole status', async () => {
    const reader = await connected();
    assert.deepEqual(namesOf(reader).slice(0, 2), ['beat', 'status']);
    assert.deepEqual(reader.events[0]?.data, { nowMillis: clock.wallMillis() });
    assert.deepEqual(reader.events[1]?.data, someStatus());
    assert.equal(reader.response.headers['content-type'], 'text/event-stream; charset=utf-8');
    assert.equal(reader.response.headers['cache-control'], 'no-store');
  });

  it('tells only what changes, once a second at most, and beats when nothing does', async () => {
    const reader = await connected();
    await clock.advance(900);
    status = () => someStatus({ version: '0.1.1' });
    await clock.advance(50);
    assert.ok(!namesOf(reader).includes('changes'));
    await clock.advance(60);
    await until(() => namesOf(reader).includes('changes'));
    assert.deepEqual(reader.events.at(-1)?.data, { sections: { version: '0.1.1' }, clients: [], gone: [] });
    const before = reader.events.length;
    await clock.advance(20_000);
    await until(() => reader.events.length >= before + 4);
    assert.deepEqual(namesOf(reader).slice(before), ['beat', 'beat', 'beat', 'beat']);
  });

  it('looks once for all who listen, and not at all for nobody', async () => {
    const readers = [await connected(), await connected()];
    const before = looked;
    await clock.advance(3_050);
    assert.equal(looked, before + 3);
    for (const reader of readers) reader.leave();
    await until(() => clock.pendingTimers === 0);
    await clock.advance(10_000);
    assert.equal(looked, before + 3);
    await connected();
    assert.ok(looked > before + 3);
  });

  it('has room for some readers, and says so to the next one', async () => {
    const readers = await Promise.all(Array.from({ length: MAX_LISTENERS }, () => connected()));
    assert.equal((await connect()).response.statusCode, 503);
    readers[0]?.leave();
    while ((await connect()).response.statusCode !== 200);
  });

  it('forgets all readers of a connection that is over', async () => {
    const socket = connectTo(port, '127.0.0.1');
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(3));
    await once(socket, 'data');
    await until(() => clock.pendingTimers === 1);
    socket.destroy();
    await until(() => clock.pendingTimers === 0);
  });

  it('ends the streams when the status cannot be made, so that readers know', async () => {
    const reader = await connected();
    status = () => {
      throw new Error('broken');
    };
    await clock.advance(1_050);
    await until(() => reader.isOver());
    status = () => someStatus();
    await connected();
  });

  it('waits for what is looked up for it', async () => {
    const gate = Promise.withResolvers<undefined>();
    refresh = () => gate.promise;
    const reader = await connect();
    await until(() => namesOf(reader).includes('beat'));
    assert.equal(looked, 0);
    gate.resolve(undefined);
    await until(() => namesOf(reader).includes('status'));
  });
});
