import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server } from 'node:net';
import { text } from 'node:stream/consumers';
import { openRelay, type Endpoint } from '../../windows-sim/src/machine/relay.ts';

const LOCAL = '127.0.0.1';

async function listen(server: Server): Promise<Endpoint> {
  server.listen(0, LOCAL);
  await once(server, 'listening');
  return { address: LOCAL, port: (server.address() as AddressInfo).port };
}

/** A port that nothing listens on. */
async function freePort(): Promise<Endpoint> {
  const server = createServer();
  const endpoint = await listen(server);
  server.close();
  await once(server, 'close');
  return endpoint;
}

async function exchange({ address, port }: Endpoint, question: string): Promise<string> {
  const socket = connect({ host: address, port });
  socket.end(question);
  return await text(socket);
}

describe("the simulated container's relay", () => {
  const servers: Server[] = [];
  afterEach(() => {
    for (const server of servers.splice(0)) server.close();
  });

  async function echo(name: string): Promise<Endpoint> {
    const server = createServer({ allowHalfOpen: true }, socket => {
      socket.write(`${name}: `);
      socket.pipe(socket);
    });
    servers.push(server);
    return await listen(server);
  }

  it('forwards both ways, and new connections to a new target', async () => {
    const listening = await freePort();
    const relay = await openRelay(listening, await echo('first'));
    assert.ok(relay);
    assert.equal(await exchange(listening, 'hello'), 'first: hello');
    relay.retarget(await echo('second'));
    assert.equal(await exchange(listening, 'hello'), 'second: hello');
    relay.destroy();
    await assert.rejects(exchange(listening, 'hello'), { code: 'ECONNREFUSED' });
  });

  it('accepts before it connects, and ends what it cannot connect', async () => {
    const listening = await freePort();
    const relay = await openRelay(listening, await freePort());
    const socket = connect({ host: LOCAL, port: listening.port });
    await once(socket, 'connect');
    socket.on('error', () => {});
    socket.resume();
    await once(socket, 'close');
    relay?.destroy();
  });

  it('is not there when nothing can listen', async () => {
    assert.equal(await openRelay({ address: '192.0.2.1', port: 1 }, await freePort()), undefined);
  });
});
