import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { createEmulator, DEFAULT_APP_IDENTITY, type Emulator } from '@msi-proxy/imds-emulator';
import { callerAt, grantOf, UNLABELLED } from '../support/callers.ts';
import type { FakeMonitor } from '../support/fake-monitor.ts';
import { CLIENT_ADDRESS, open, sendAndLeave } from '../support/raw-client.ts';
import { startProxy, type ProxyUnderTest } from '../support/running-proxy.ts';
import { until } from '../support/until.ts';

const TOKEN = '/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fvault.azure.net';
const OTHER_ADDRESS = '127.0.0.3';

function text(...headers: readonly string[]): string {
  return textOf(TOKEN, ...headers);
}

function textOf(target: string, ...headers: readonly string[]): string {
  return [`GET ${target} HTTP/1.1`, 'Host: 169.254.169.254', 'Metadata: true', ...headers, '', ''].join(
    '\r\n',
  );
}

const INFO = '/metadata/identity/info?api-version=2018-02-01';
const INSTANCE = '/metadata/instance?api-version=2021-02-01';

describe('a request that came before', () => {
  let emulator: Emulator;
  let running: ProxyUnderTest;
  let monitor: FakeMonitor;

  beforeEach(async () => {
    emulator = createEmulator();
    const { listen } = await emulator.start({ listen: { host: '127.0.0.1', port: 0 } });
    running = await startProxy({
      imdsPort: listen.port,
      environment: { MSI_PROXY_PREFETCH: 'false', MSI_PROXY_CONFIRM_AFTER_MS: '60000' },
    });
    const identity = { kind: 'client-id', id: DEFAULT_APP_IDENTITY.clientId } as const;
    const own = grantOf({ defaultIdentity: identity, identities: [identity] });
    monitor = await running.join(
      callerAt(CLIENT_ADDRESS, { grant: grantOf({ endpoints: ['token', 'instance', 'identity-info'] }) }),
      callerAt(OTHER_ADDRESS, { containerId: 'd'.repeat(64), grant: own }),
    );
  });

  afterEach(async () => {
    await running.stop();
    await emulator.stop();
  });

  async function get(from = CLIENT_ADDRESS, ...headers: readonly string[]) {
    return await sendAndLeave({ port: running.port, from }, text(...headers));
  }

  function clientIdOf(body: string): unknown {
    return (JSON.parse(body) as Record<string, unknown>)['client_id'];
  }

  /** A connection on which a known request was answered. */
  async function connected(): Promise<{ socket: Socket; received: () => string }> {
    await get();
    const socket = open({ port: running.port });
    let received = '';
    socket.on('data', (chunk: Buffer) => (received += chunk.toString('latin1')));
    socket.write(text());
    await until(() => received.includes('access_token'));
    return { socket, received: () => received };
  }

  it('is answered with the same header lines as by Node', async () => {
    await get();
    // Another connection whose request is not known by its bytes, but means the same.
    const usual = await get(CLIENT_ADDRESS, 'X-Other: 1');
    const known = await get();
    const withoutTime = (lines: readonly string[]) => lines.filter(line => !line.startsWith('Date: '));
    assert.deepEqual(withoutTime(known.headerLines), withoutTime(usual.headerLines));
    assert.equal(known.text.split('\r\n')[0], usual.text.split('\r\n')[0]);
    assert.equal(Number(known.headers['content-length']), known.body.length);
  });

  it('is answered to each client with what its own policy gives it', async () => {
    await get();
    await get(OTHER_ADDRESS);
    assert.equal(clientIdOf((await get(OTHER_ADDRESS)).body), DEFAULT_APP_IDENTITY.clientId);
    assert.notEqual(clientIdOf((await get()).body), DEFAULT_APP_IDENTITY.clientId);
  });

  it('is refused on the same connection as soon as the policy says so', async () => {
    const { socket, received } = await connected();
    const grant = grantOf({ resources: [{ kind: 'exact', resource: 'https://storage.azure.com' }] });
    await monitor.delta([], [callerAt(CLIENT_ADDRESS, { grant })]);
    socket.write(text());
    await until(() => received().includes('HTTP/1.1 403 '));
    socket.destroy();
  });

  it('is refused on the same connection when its address belongs to another container', async () => {
    const { socket, received } = await connected();
    await monitor.delta(
      [CLIENT_ADDRESS],
      [callerAt(CLIENT_ADDRESS, { containerId: 'e'.repeat(64), grant: UNLABELLED })],
    );
    socket.write(text());
    await until(() => received().includes('HTTP/1.1 400 '));
    socket.destroy();
  });

  it('is counted and audited like any other', async () => {
    for (let count = 0; count < 3; count += 1) await get();
    await until(() => monitor.messages('report').at(-1)?.callers[0]?.requests === 3);
    const lines = running.log.filter(({ msg, via }) => msg === 'request' && via === 'cache');
    assert.equal(lines.length, 1);
  });

  it('is asked of IMDS again when the token is not kept any more', async () => {
    const { socket, received } = await connected();
    monitor.send({ type: 'flush-tokens' });
    await until(() => monitor.messages('tokens-flushed').length > 0);
    const before = emulator.requests.length;
    socket.write(text());
    await until(() => received().split('HTTP/1.1 200 ').length === 3);
    assert.equal(emulator.requests.length, before + 1);
    socket.destroy();
  });

  it('goes the usual way when its version of HTTP closes connections', async () => {
    const old = text().replace('HTTP/1.1', 'HTTP/1.0');
    for (let times = 1; times <= 2; times += 1) {
      const answer = await sendAndLeave({ port: running.port }, old);
      assert.equal(answer.status, 200);
      assert.equal(answer.headers['connection'], 'close');
    }
  });

  it('goes the usual way when it wants its connection closed', async () => {
    await get(CLIENT_ADDRESS, 'Connection: close');
    assert.equal((await get(CLIENT_ADDRESS, 'Connection: close')).headers['connection'], 'close');
  });

  describe('and that keeps its connection,', () => {
    it('is answered the last time when the proxy stands by', async () => {
      const { socket, received } = await connected();
      monitor.send({ type: 'role', role: 'standby' });
      await until(() => running.log.some(({ msg }) => msg === 'This proxy stands by'));
      socket.write(text());
      await until(() => socket.destroyed);
      const [, last = ''] = received().split(/(?=HTTP\/1\.1 200 )/);
      assert.match(last, /^Connection: close\r$/m);
    });

    it('is answered the last time when the proxy stops', async () => {
      const { socket, received } = await connected();
      const stopping = running.proxy.stop();
      socket.write(text());
      await stopping;
      await until(() => socket.destroyed);
      const [, last = ''] = received().split(/(?=HTTP\/1\.1 200 )/);
      assert.match(last, /^Connection: close\r$/m);
    });
  });

  describe('for something that IMDS is asked for each time,', () => {
    async function ask(target: string, ...headers: readonly string[]) {
      return await sendAndLeave({ port: running.port, from: CLIENT_ADDRESS }, textOf(target, ...headers));
    }

    for (const target of [INFO, INSTANCE]) {
      it(`${target} is answered with the same header lines as by Node`, async () => {
        await ask(target);
        const usual = await ask(target, 'X-Other: 1');
        const known = await ask(target);
        const withoutTime = (lines: readonly string[]) => lines.filter(line => !line.startsWith('Date: '));
        assert.deepEqual(withoutTime(known.headerLines), withoutTime(usual.headerLines));
        assert.equal(known.body, usual.body);
        assert.equal(known.text.split('\r\n')[0], usual.text.split('\r\n')[0]);
      });
    }

    it('is asked of IMDS with the same headers', async () => {
      await ask(INFO, 'User-Agent: sdk/1', 'X-A: 1', 'Keep-Alive: timeout=7');
      await ask(INFO, 'User-Agent: sdk/1', 'X-A: 1', 'Keep-Alive: timeout=7');
      const [first, second] = emulator.requests.map(({ rawHeaders }) => rawHeaders);
      assert.deepEqual(second, first);
      assert.ok(second?.includes('sdk/1') === true && second.includes('x-a'));
      assert.ok(!second.some(each => /keep-alive: ?timeout|timeout=7/i.test(each)));
    });

    it('is answered 503 in the same words, and closed, when IMDS does not answer', async () => {
      await ask(INFO);
      emulator.setFaults([{ fault: 'reset', afterBytes: 0 }]);
      const [usual, known] = await Promise.all([ask(INFO, 'X-Other: 1'), ask(INFO)]);
      assert.equal(known.status, 503);
      assert.equal(known.body, usual.body);
      const sorted = (lines: readonly string[]) =>
        lines.filter(line => !line.startsWith('Date: ')).toSorted();
      assert.deepEqual(sorted(known.headerLines), sorted(usual.headerLines));
      assert.equal(known.headers['connection'], 'close');
    }).timeout(20_000);

    it('is not asked any more when its client leaves', async () => {
      await ask(INFO);
      emulator.setFaults([{ fault: 'delay', delayMillis: 60_000 }]);
      const client = open({ port: running.port });
      client.write(textOf(INFO));
      await until(() => emulator.requests.length === 2);
      client.destroy();
      await until(() => running.log.some(({ reason }) => reason === 'client-left'));
    });

    it('is not answered to another container that has the address meanwhile', async () => {
      await ask(INSTANCE);
      emulator.setFaults([{ fault: 'delay', delayMillis: 300, times: 1 }]);
      const client = open({ port: running.port });
      let received = '';
      client.on('data', (chunk: Buffer) => (received += chunk.toString('latin1')));
      client.write(textOf(INSTANCE));
      await until(() => emulator.requests.length === 2);
      await monitor.delta(
        [CLIENT_ADDRESS],
        [callerAt(CLIENT_ADDRESS, { containerId: 'e'.repeat(64), grant: UNLABELLED })],
      );
      await until(() => client.destroyed);
      assert.equal(received, '');
      assert.ok(running.log.some(({ reason }) => reason === 'caller-gone'));
    });

    it('is refused as soon as the policy says so', async () => {
      await ask(INFO);
      await monitor.delta([], [callerAt(CLIENT_ADDRESS, { grant: grantOf({ endpoints: ['token'] }) })]);
      assert.equal((await ask(INFO)).status, 403);
    });
  });
});
