import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { FakeClock, settle } from '@msi-proxy/shared/testing';
import { request } from './support/raw-http.ts';
import { withEmulator } from './support/with-emulator.ts';

const VERSIONS = '/metadata/versions';
const TOKEN = '/metadata/identity/oauth2/token?api-version=2018-02-01&resource=x';

const NODE_MAJOR = Number(process.versions.node.split('.')[0]);

describe('faults', () => {
  it('replace the answer, in the shape of its category', async () => {
    await withEmulator({}, async ({ address, emulator }) => {
      emulator.setFaults([{ fault: 'status', status: 410 }]);
      const token = await request(address, TOKEN);
      const versions = await request(address, VERSIONS);
      assert.equal(token.status, 410);
      assert.deepEqual(Object.keys(JSON.parse(token.body) as object), ['error', 'error_description']);
      assert.equal(versions.status, 410);
      assert.deepEqual(Object.keys(JSON.parse(versions.body) as object), ['error']);
    });
  });

  it('replace status, headers and body by given ones', async () => {
    await withEmulator({}, async ({ address, emulator }) => {
      emulator.setFaults([
        {
          fault: 'status',
          status: 500,
          body: 'restarting',
          headers: { 'Content-Type': 'text/plain; charset=utf-8', Server: 'Microsoft-IIS/10.0' },
        },
      ]);
      const answer = await request(address, TOKEN);
      assert.deepEqual([answer.status, answer.body], [500, 'restarting']);
      assert.equal(answer.headers['server'], 'Microsoft-IIS/10.0');
      assert.equal(answer.headers['content-type'], 'text/plain; charset=utf-8');
      assert.equal(answer.headers['content-length'], '10');
    });
  });

  it('befall what they match, the first rule first', async () => {
    await withEmulator({}, async ({ address, emulator }) => {
      emulator.setFaults([
        { pathPrefix: '/metadata/IDENTITY/oauth2', fault: 'status', status: 500 },
        { category: 'token', fault: 'status', status: 503 },
        { category: 'identity-info', fault: 'status', status: 404 },
      ]);
      assert.equal((await request(address, TOKEN)).status, 500);
      assert.equal((await request(address, '/metadata/identity/info?api-version=2018-02-01')).status, 404);
      assert.equal((await request(address, VERSIONS)).status, 200);
    });
  });

  it('are over after some times', async () => {
    await withEmulator({}, async ({ address, emulator }) => {
      emulator.setFaults([{ fault: 'status', status: 500, times: 2 }]);
      const seen = [];
      for (let sent = 0; sent < 3; sent += 1) seen.push((await request(address, VERSIONS)).status);
      assert.deepEqual(seen, [500, 500, 200]);
      assert.deepEqual(emulator.faults, []);
    });
  });

  it('are over after some time', async () => {
    const clock = new FakeClock();
    await withEmulator({ clock }, async ({ address, emulator }) => {
      emulator.setFaults([{ fault: 'status', status: 410, forMillis: 70_000 }]);
      await clock.advance(69_999);
      assert.equal((await request(address, VERSIONS)).status, 410);
      await clock.advance(1);
      assert.equal((await request(address, VERSIONS)).status, 200);
    });
  });

  it('delay', async () => {
    const clock = new FakeClock();
    await withEmulator({ clock }, async ({ address, emulator }) => {
      emulator.setFaults([{ fault: 'delay', delayMillis: 3_000 }]);
      const answer = request(address, VERSIONS);
      while (clock.pendingTimers === 0) await settle();
      await clock.advance(2_999);
      assert.equal(emulator.requests[0]?.status, null);
      await clock.advance(1);
      assert.equal((await answer).status, 200);
    });
  });

  it('hang until the client leaves', async () => {
    await withEmulator({}, async ({ address, emulator }) => {
      emulator.setFaults([{ fault: 'hang' }]);
      const socket = connect(address);
      socket.write(`GET ${VERSIONS} HTTP/1.1\r\nHost: a\r\nMetadata: true\r\n\r\n`);
      while (emulator.stats.requests === 0) await settle();
      socket.destroy();
      while (emulator.requests[0]?.clientGone !== true) await settle();
      assert.equal(emulator.requests[0].status, null);
      while (emulator.stats.openConnections > 0) await settle();
    });
  });

  for (const afterBytes of [0, 1, 100, 250]) {
    it(`reset the connection after ${afterBytes} bytes`, async () => {
      await withEmulator({}, async ({ address, emulator }) => {
        emulator.setFaults([{ fault: 'reset', afterBytes }]);
        const answer = await request(address, VERSIONS);
        // A client on Node 22 takes a reset that follows data for an orderly end.
        if (afterBytes === 0 || NODE_MAJOR > 22) assert.equal(answer.wasReset, true);
        assert.equal(answer.bytes.length, afterBytes);
        assert.equal(emulator.requests[0]?.clientGone, false);
      });
    });
  }

  it('close the connection in the middle of the body', async () => {
    await withEmulator({}, async ({ address, emulator }) => {
      emulator.setFaults([{ fault: 'truncate' }, { fault: 'truncate', bodyBytes: 3 }]);
      const half = await request(address, VERSIONS);
      emulator.setFaults([{ fault: 'truncate', bodyBytes: 3 }]);
      const three = await request(address, VERSIONS);
      const length = Number(half.headers['content-length']);
      assert.equal(half.wasReset, false);
      assert.equal(half.body.length, Math.floor(length / 2));
      assert.equal(three.body.length, 3);
    });
  });

  it('send an answer in drops', async () => {
    const clock = new FakeClock();
    await withEmulator({ clock }, async ({ address, emulator }) => {
      emulator.setFaults([{ fault: 'drip', bytesPerWrite: 200, intervalMillis: 1_000 }]);
      const pending = request(address, VERSIONS);
      let drops = 1;
      while (emulator.stats.requests === 0 || emulator.stats.openConnections > 0) {
        if (clock.pendingTimers > 0) {
          await clock.advance(1_000);
          drops += 1;
        }
        await settle();
      }
      const whole = await pending;
      assert.equal(whole.status, 200);
      assert.equal(whole.headers['content-length'], String(whole.body.length));
      assert.equal(drops, Math.ceil(whole.bytes.length / 200));
    });
  });

  it("answer with the front door's page", async () => {
    await withEmulator({}, async ({ address, emulator }) => {
      emulator.setFaults([{ fault: 'front-door-page' }]);
      const answer = await request(address, TOKEN);
      assert.equal(answer.status, 503);
      assert.equal(answer.headers['content-type'], 'text/html; charset=us-ascii');
      assert.match(answer.body, /<h2>Service Unavailable<\/h2>/);
    });
  });

  it('do not keep the emulator from stopping', async () => {
    await withEmulator({ clock: new FakeClock() }, async ({ address, emulator }) => {
      emulator.setFaults([
        { fault: 'hang', times: 1 },
        { fault: 'delay', delayMillis: 60_000 },
      ]);
      const sockets = [connect(address), connect(address)];
      for (const socket of sockets) {
        socket.on('error', () => {});
        socket.write(`GET ${VERSIONS} HTTP/1.1\r\nHost: a\r\nMetadata: true\r\n\r\n`);
      }
      while (emulator.stats.requests < 2) await settle();
      const closed = sockets.map(socket => once(socket, 'close'));
      await emulator.stop();
      await Promise.all(closed);
      assert.deepEqual(
        emulator.requests.map(({ status, clientGone }) => ({ status, clientGone })),
        [
          { status: null, clientGone: false },
          { status: null, clientGone: false },
        ],
      );
    });
  });
});
