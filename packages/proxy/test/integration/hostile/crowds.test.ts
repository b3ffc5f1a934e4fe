import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { callerAt } from '../../unit/support/callers.ts';
import {
  ask,
  CLIENT_ADDRESS,
  open,
  readAll,
  requestText,
  type RawAnswer,
} from '../../unit/support/raw-client.ts';
import { until } from '../../unit/support/until.ts';
import { TARGET } from './raw-requests.ts';
import { withTappedProxy, type TappedProxy } from './tapped-proxy.ts';

const CROWD = 5_000;
/** As an operator would have to set it for so many; by default the proxy closes what is beyond 1,024. */
const ROOM_FOR_ALL = { MSI_PROXY_MAX_CONNECTIONS: '8000' };
const DEFAULT_ROOM = 1_024;
/** One client alone gets half of the places at most. */
const ADDRESSES = [CLIENT_ADDRESS, ...Array.from({ length: 49 }, (_, index) => `127.0.2.${index + 1}`)];
/** The heap takes up to six rounds to find its size. */
const ROUNDS = 8;
const GROWTH_MIB = 48;

const HEAD = `GET ${TARGET} HTTP/1.1\r\nHost: 169.254.169.254\r\nMetadata: true\r\n`;

/** @param onOpening called with each socket before anything can happen to it */
async function openAll(
  count: number,
  port: number,
  addresses: readonly string[],
  onOpening: (socket: Socket) => void = () => undefined,
): Promise<Socket[]> {
  const sockets: Socket[] = [];
  while (sockets.length < count) {
    const batch = Array.from({ length: Math.min(250, count - sockets.length) }, (_, index) =>
      open({ port, from: addresses[index % addresses.length]! }),
    );
    batch.forEach(onOpening);
    await Promise.all(batch.map(socket => once(socket, 'connect')));
    sockets.push(...batch);
  }
  return sockets;
}

async function untilDescriptorsAre(proxy: TappedProxy, before: number): Promise<void> {
  // Connections to IMDS are kept open for the next request.
  const deadline = Date.now() + 20_000;
  while (proxy.descriptors() > before + 5) {
    assert.ok(Date.now() < deadline, `${proxy.descriptors()} descriptors are open, ${before} were before`);
    await sleep(100);
  }
}

async function isServing({ port }: TappedProxy): Promise<void> {
  assert.equal((await ask(TARGET, { port })).status, 200);
}

describe('crowds of clients', function () {
  this.timeout(120_000);

  it(`of ${CROWD} connections at once are all answered, ${ROUNDS} times, and leave nothing behind`, async () => {
    const callers = ADDRESSES.map((address, index) =>
      callerAt(address, { containerId: String(index).padStart(64, '0') }),
    );
    await withTappedProxy({ callers, settings: ROOM_FOR_ALL }, async proxy => {
      await isServing(proxy);
      const before = proxy.descriptors();
      const resident: number[] = [];
      for (let round = 0; round < ROUNDS; round += 1) {
        const answers: Promise<RawAnswer>[] = [];
        const sockets = await openAll(CROWD, proxy.port, ADDRESSES, socket => answers.push(readAll(socket)));
        await until(() => proxy.descriptors() >= CROWD);
        for (const socket of sockets) socket.write(requestText(TARGET));
        const statuses = new Set((await Promise.all(answers)).map(({ status }) => status));
        assert.deepEqual([...statuses], [200]);
        await untilDescriptorsAre(proxy, before);
        resident.push(proxy.residentMiB());
      }
      console.log(
        `      resident after each round: ${resident.map(size => `${size.toFixed(0)} MiB`).join(', ')}`,
      );
      assert.ok(resident.at(-1)! - resident.at(-3)! < GROWTH_MIB, resident.join());
    });
  });

  it(`of ${CROWD} find ${DEFAULT_ROOM} places by default; the rest is closed at once, and the proxy serves on`, async () => {
    await withTappedProxy({}, async proxy => {
      await isServing(proxy);
      const before = proxy.descriptors();
      const sockets = await openAll(CROWD, proxy.port, ADDRESSES);
      const isOpen = () => sockets.filter(socket => !socket.destroyed).length;
      for (const socket of sockets) socket.resume();
      await until(() => isOpen() <= DEFAULT_ROOM);
      assert.ok(proxy.descriptors() <= before + DEFAULT_ROOM + 5);
      // Silent ones lose their places by themselves, after the time that a request may take to begin.
      for (const socket of sockets.slice(0, 500)) socket.destroy();
      await until(() => isOpen() < DEFAULT_ROOM);
      await isServing(proxy);
      for (const socket of sockets) socket.destroy();
      await untilDescriptorsAre(proxy, before);
    });
  });

  it('that connect and vanish at every stage of a request leave nothing behind', async () => {
    await withTappedProxy({}, async proxy => {
      await isServing(proxy);
      const before = proxy.descriptors();
      const request = requestText(TARGET);
      for (let length = 0; length <= request.length; length += 4) {
        await Promise.all(
          (['destroy', 'resetAndDestroy', 'end'] as const).map(async how => {
            const socket = open({ port: proxy.port });
            await once(socket, 'connect');
            if (length > 0) socket.write(request.slice(0, length));
            socket.resume();
            const closed = once(socket, 'close');
            socket[how]();
            await closed;
          }),
        );
      }
      await untilDescriptorsAre(proxy, before);
      await isServing(proxy);
    });
  });
});

describe('slow clients', function () {
  this.timeout(60_000);

  /** Each holds a connection in its way; the proxy has to end it within some seconds. */
  const WAYS: Readonly<Record<string, (socket: Socket) => () => void>> = {
    'say nothing': () => () => undefined,
    'write a byte now and then': socket => drip(socket, HEAD),
    'write a header without an end': socket => {
      socket.write(HEAD);
      return drip(socket, `X: ${'a'.repeat(500)}`);
    },
    'stop in the middle of the request line': socket => {
      socket.write('GET /metadata/ident');
      return () => undefined;
    },
    'promise a body and do not send it': socket => {
      socket.write(
        `POST /metadata/scheduledevents?api-version=2020-07-01 HTTP/1.1\r\nHost: 169.254.169.254\r\nMetadata: true\r\nContent-Length: 100\r\n\r\n{`,
      );
      return () => undefined;
    },
    'send chunk after chunk of a body that is not wanted': socket => {
      socket.write(`${HEAD}Transfer-Encoding: chunked\r\n\r\n`);
      return drip(socket, '1\r\na\r\n'.repeat(100));
    },
    'keep the connection and ask no more': socket => {
      socket.write(`${HEAD}\r\n`);
      return () => undefined;
    },
  };

  function drip(socket: Socket, text: string): () => void {
    let at = 0;
    const timer = setInterval(() => socket.write(text[at++ % text.length]!), 100);
    return () => clearInterval(timer);
  }

  it('lose their connections within fifteen seconds, whatever they do, while others are served', async () => {
    await withTappedProxy({}, async proxy => {
      await isServing(proxy);
      const before = proxy.descriptors();
      const slow = Object.entries(WAYS).map(async ([name, behave]) => {
        const socket = open({ port: proxy.port });
        await once(socket, 'connect');
        const stop = behave(socket);
        const limit = setTimeout(() => socket.destroy(new Error('the test ends it')), 15_000);
        let failure = '';
        socket.on('error', error => (failure = error.message));
        const answer = await readAll(socket);
        clearTimeout(limit);
        stop();
        return [name, failure === 'the test ends it' ? 'still open' : answer] as const;
      });
      const ended = Promise.all(slow);
      for (let request = 0; request < 20; request += 1) await isServing(proxy);
      for (const [name, answer] of await ended) assert.notEqual(answer, 'still open', name);
      await untilDescriptorsAre(proxy, before);
    });
  });

  it('that do not read what they asked for hold a bounded amount of memory, and lose their connections', async () => {
    await withTappedProxy({}, async proxy => {
      await isServing(proxy);
      const before = { descriptors: proxy.descriptors(), resident: proxy.residentMiB() };
      const sockets = await openAll(100, proxy.port, [CLIENT_ADDRESS]);
      for (const socket of sockets) {
        socket.pause();
        // More than a connection may have under way: none of them reads an answer.
        socket.write(`${HEAD}\r\n`.repeat(2_000));
      }
      await sleep(1_000);
      const growth = proxy.residentMiB() - before.resident;
      console.log(`      ${growth.toFixed(0)} MiB for 100 clients that asked 2,000 times and did not read`);
      assert.ok(growth < 200, `${growth} MiB`);
      await isServing(proxy);
      for (const socket of sockets) socket.resume();
      await untilDescriptorsAre(proxy, before.descriptors);
    });
  });
});

describe('limits of a request', () => {
  const CASES: Readonly<Record<string, { bytes: string; expected: (answer: RawAnswer) => boolean }>> = {
    'a header block just below 8 KiB': {
      bytes: `${HEAD}X: ${'a'.repeat(7_800)}\r\nConnection: close\r\n\r\n`,
      expected: ({ status }) => status === 200,
    },
    'a header block above 8 KiB': {
      bytes: `${HEAD}X: ${'a'.repeat(8_300)}\r\n\r\n`,
      expected: ({ status }) => status === 400 || status === 431,
    },
    'a header block that never ends': {
      bytes: `${HEAD}${'X: y\r\n'.repeat(200_000)}`,
      expected: ({ status }) => !(status === 200),
    },
    '64 headers': {
      bytes: `${HEAD}${'X: y\r\n'.repeat(61)}Connection: close\r\n\r\n`,
      expected: ({ status }) => status === 200,
    },
    '65 headers': {
      bytes: `${HEAD}${'X: y\r\n'.repeat(62)}Connection: close\r\n\r\n`,
      expected: ({ status }) => status === 400,
    },
    'a target of 64 KiB': {
      bytes: `GET ${TARGET}&x=${'a'.repeat(65_536)} HTTP/1.1\r\n\r\n`,
      expected: ({ status }) => status === 400 || status === 431,
    },
    'a method of 1 MiB': {
      bytes: `${'A'.repeat(1_048_576)} / HTTP/1.1\r\n\r\n`,
      expected: ({ status }) => !(status === 200),
    },
    'a body of 1 MiB': {
      bytes: `${HEAD}Content-Length: 1048576\r\n\r\n${'a'.repeat(1_048_576)}`,
      expected: ({ status }) => status === 400 || Number.isNaN(status),
    },
    'a chunk of 1 MiB': {
      bytes: `${HEAD}Transfer-Encoding: chunked\r\n\r\n100000\r\n${'a'.repeat(1_048_576)}`,
      expected: ({ status }) => status === 400 || Number.isNaN(status),
    },
  };

  it('are kept, and what is beyond them gets an error in the end', async function () {
    this.timeout(60_000);
    await withTappedProxy({}, async proxy => {
      for (const [name, { bytes, expected }] of Object.entries(CASES)) {
        const socket = open({ port: proxy.port });
        socket.write(bytes, 'latin1');
        const answer = await readAll(socket);
        assert.ok(expected(answer), `${name}: ${answer.text.slice(0, 200)}`);
      }
      await isServing(proxy);
    });
  });
});
