import assert from 'node:assert/strict';
import { createServer, type Server, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import { FakeClock, until } from '@msi-proxy/shared/testing';
import { watchProxy, type ProxyWatch } from '../../../src/proxies/proxy-watch.ts';

describe('watchProxy', () => {
  let clock: FakeClock;
  let server: Server;
  let sockets: Set<Socket>;
  let accepted: number;
  let port: number;
  let watch: ProxyWatch;
  let changes: string[];

  beforeEach(async () => {
    clock = new FakeClock();
    sockets = new Set();
    accepted = 0;
    changes = [];
    await listen();
    watch = watchProxy({
      endpoint: { address: '127.0.0.1', port },
      clock,
      onChange: () => changes.push(watch.state),
    });
  });

  afterEach(async () => {
    watch.stop();
    await die();
    assert.equal(clock.pendingTimers, 0, 'a timer was left behind');
  });

  async function listen(): Promise<void> {
    server = createServer(socket => {
      accepted += 1;
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.once('close', () => sockets.delete(socket));
    });
    await new Promise<void>(resolve => server.listen(port, '127.0.0.1', resolve));
    port = (server.address() as AddressInfo).port;
  }

  async function die(): Promise<void> {
    const closed = new Promise(resolve => server.close(resolve));
    for (const socket of sockets) socket.resetAndDestroy();
    await closed;
  }

  async function untilConnected(): Promise<void> {
    await until(() => sockets.size === 1 && watch.state === 'present');
    // Long enough to be a connection of its own right.
    await clock.advance(1_000);
  }

  it('does not know before it has reached it', () => {
    assert.equal(watch.state, 'unknown');
  });

  it('tells that it is there', async () => {
    await untilConnected();

    assert.deepEqual(changes, ['present']);
  });

  it('tells at once that it has died, without a timer', async () => {
    await untilConnected();

    await die();

    await until(() => watch.state === 'gone');
    assert.deepEqual(changes, ['present', 'gone']);
  });

  it('tells that it is back', async () => {
    await untilConnected();
    await die();
    await until(() => watch.state === 'gone');
    await listen();

    await clock.advance(500);

    await untilConnected();
    assert.deepEqual(changes, ['present', 'gone', 'present']);
  });

  it('connects again without a word when the server ends the connection, which it does with silent ones', async () => {
    await untilConnected();

    for (const socket of sockets) socket.end();

    await until(() => accepted === 2);
    await untilConnected();
    assert.deepEqual(changes, ['present']);
  });

  it('does not ask a server without pause that ends connections at once', async () => {
    await until(() => sockets.size === 1 && watch.state === 'present');

    for (const socket of sockets) socket.end();
    await until(() => sockets.size === 0 && clock.pendingTimers === 1);

    assert.equal(accepted, 1);
    await clock.advance(250);
    await until(() => accepted === 2);
  });

  it('leaves no connection when it stops', async () => {
    await untilConnected();

    watch.stop();

    await until(() => sockets.size === 0);
    assert.equal(accepted, 1);
  });
});
