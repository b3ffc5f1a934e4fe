import assert from 'node:assert/strict';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { Disposables, readAll, until } from '@msi-proxy/shared/testing';
import { createServer, request, type IncomingMessage } from 'node:http';
import { once } from 'node:events';
import { connect, type AddressInfo, type Server, type Socket } from 'node:net';
import { silentLogger, type HostPort } from '@msi-proxy/shared';
import { fetchStatus, type Readiness, type StatusServer } from '../../../src/status/index.ts';
import { someStatus, statusServerOf } from './support.ts';

const LISTENING = 'tracing:net.server.listen:asyncStart';

interface Answer {
  readonly status: number;
  readonly headers: Record<string, unknown>;
  readonly body: string;
}

async function ask(
  { host, port }: HostPort,
  path: string,
  { method = 'GET', headers = {} }: { method?: string; headers?: Record<string, string> } = {},
): Promise<Answer> {
  return await new Promise((resolve, reject) => {
    const asking = request({ host, port, path, method, headers, agent: false }, response => {
      let body = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
      response.on('end', () => resolve({ status: response.statusCode!, headers: response.headers, body }));
    });
    asking.on('error', reject).end();
  });
}

/** Starts it, and gives what Node listens with. */
async function startSeen(status: StatusServer): Promise<{ where: HostPort; server: Server }> {
  let server: Server | undefined;
  const see = (message: unknown) => {
    ({ server } = message as { readonly server: Server });
  };
  subscribe(LISTENING, see);
  const where = await status.start();
  unsubscribe(LISTENING, see);
  return { where, server: server! };
}

describe('StatusServer', () => {
  const disposables = new Disposables();
  afterEach(() => disposables.dispose());

  it('answers the status as JSON, to fetchStatus and to others', async () => {
    const server = disposables.add(statusServerOf());
    const where = await server.start();
    const answer = await ask(where, '/api/status?x=1');
    assert.equal(answer.status, 200);
    assert.match(String(answer.headers['content-type']), /^application\/json/);
    assert.deepEqual(JSON.parse(answer.body), someStatus());
    assert.deepEqual(await fetchStatus(where), someStatus());
  });

  it('answers metrics as the text that Prometheus reads', async () => {
    const server = disposables.add(statusServerOf({ metrics: () => 'x 1\n' }));
    const where = await server.start();
    const answer = await ask(where, '/metrics');
    assert.equal(answer.status, 200);
    assert.equal(answer.headers['content-type'], 'text/plain; version=0.0.4; charset=utf-8');
    assert.equal(answer.body, 'x 1\n');
  });

  it('says whether it is ready, and what is missing', async () => {
    let readiness: Readiness = { ready: false, reason: 'the engine is not connected' };
    const server = disposables.add(statusServerOf({ ready: () => readiness }));
    const where = await server.start();
    const before = await ask(where, '/readyz');
    assert.equal(before.status, 503);
    assert.deepEqual(JSON.parse(before.body), readiness);
    assert.equal((await ask(where, '/livez')).status, 200);
    readiness = { ready: true };
    assert.equal((await ask(where, '/readyz')).status, 200);
  });

  it('answers HEAD without a body, and refuses what could change something', async () => {
    const server = disposables.add(statusServerOf());
    const where = await server.start();
    const head = await ask(where, '/api/status', { method: 'HEAD' });
    assert.equal(head.status, 200);
    assert.equal(head.body, '');
    assert.notEqual(head.headers['content-length'], '0');
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
      const answer = await ask(where, '/api/status', { method });
      assert.equal(answer.status, 405, method);
      assert.equal(answer.headers['allow'], 'GET, HEAD');
    }
    assert.equal((await ask(where, '/nowhere')).status, 404);
  });

  it('answers nobody who asks by a name, which may be one that a web page made up', async () => {
    const server = disposables.add(statusServerOf());
    const where = await server.start();
    for (const host of ['evil.example', 'evil.example:9180', '127.0.0.1.evil.example', 'localhost.evil']) {
      const answer = await ask(where, '/api/status', { headers: { Host: host } });
      assert.equal(answer.status, 403, host);
      assert.doesNotMatch(answer.body, /proxies/);
    }
    for (const host of ['localhost', 'localhost:9180', '10.0.0.4', '[::1]:9180']) {
      assert.equal((await ask(where, '/api/status', { headers: { Host: host } })).status, 200, host);
    }
  });

  it('answers nothing to the page of another site, but lets people follow a link to its own', async () => {
    const pageAssets = () => Promise.resolve({ '/': { contentType: 'text/html', text: 'page' } });
    const where = await disposables.add(statusServerOf({ pageAssets })).start();
    for (const site of ['cross-site', 'same-site']) {
      const headers = { 'Sec-Fetch-Site': site };
      for (const path of ['/api/status', '/api/events', '/metrics']) {
        assert.equal((await ask(where, path, { headers })).status, 403, path);
      }
      assert.equal((await ask(where, '/', { headers })).status, 200);
    }
    const headers = { 'Sec-Fetch-Site': 'same-origin' };
    assert.equal((await ask(where, '/api/status', { headers })).status, 200);
  });

  it('serves a page whose policy lets nothing in, loads it once, and sends it only when it is new', async () => {
    let loads = 0;
    const pageAssets = () => {
      loads += 1;
      if (loads === 1) return Promise.reject(new Error('not yet'));
      return Promise.resolve({
        '/': { contentType: 'text/html; charset=utf-8', text: 'page' },
        '/page/main-1.js': { contentType: 'text/javascript', text: 'script' },
      });
    };
    const where = await disposables.add(statusServerOf({ pageAssets })).start();
    assert.equal(loads, 0);
    assert.equal((await ask(where, '/')).status, 500);
    const page = await ask(where, '/');
    assert.deepEqual([page.status, page.body], [200, 'page']);
    const policy = String(page.headers['content-security-policy']);
    for (const part of ["default-src 'none'", "frame-ancestors 'none'", "script-src 'self';"]) {
      assert.ok(policy.includes(part), part);
    }
    assert.doesNotMatch(policy, /unsafe/);
    assert.equal(page.headers['cache-control'], 'no-cache');
    const again = await ask(where, '/', { headers: { 'If-None-Match': String(page.headers['etag']) } });
    assert.deepEqual([again.status, again.body], [304, '']);
    const script = await ask(where, '/page/main-1.js');
    assert.equal(script.body, 'script');
    assert.match(String(script.headers['cache-control']), /immutable/);
    assert.equal((await ask(where, '/page/other.js')).status, 404);
    assert.equal(loads, 2);
  });

  it('streams the status to a browser, and ends the stream when it stops', async () => {
    const server = statusServerOf();
    const { port } = await server.start();
    assert.equal((await ask({ host: '127.0.0.1', port }, '/api/events', { method: 'HEAD' })).status, 200);
    const asking = request({ host: '127.0.0.1', port, path: '/api/events', agent: false });
    asking.end();
    const [response] = (await once(asking, 'response')) as [IncomingMessage];
    response.on('error', () => undefined);
    let text = '';
    response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    await until(() => text.includes('event: status'));
    await Promise.all([once(response, 'close'), server.stop()]);
  });

  it('tells what is looked up for it, too', async () => {
    let version = 'old';
    const refresh = () => {
      version = 'new';
      return Promise.resolve();
    };
    const where = await disposables
      .add(statusServerOf({ refresh, status: () => someStatus({ version }) }))
      .start();
    assert.equal((await fetchStatus(where)).version, 'new');
  });

  it('answers 500 when the status cannot be made, and goes on', async () => {
    let broken = true;
    const status = () => {
      if (broken) throw new Error('token eyJ');
      return someStatus();
    };
    const server = disposables.add(statusServerOf({ status }));
    const where = await server.start();
    const answer = await ask(where, '/api/status');
    assert.equal(answer.status, 500);
    assert.doesNotMatch(answer.body, /eyJ/);
    broken = false;
    assert.equal((await ask(where, '/api/status')).status, 200);
  });

  it('says which address is taken', async () => {
    const first = disposables.add(statusServerOf());
    const taken = await first.start();
    const second = disposables.add(statusServerOf({ listen: taken }));
    await assert.rejects(second.start(), {
      code: 'MSI_LISTEN_FAILED',
      message: new RegExp(`127\\.0\\.0\\.1:${taken.port} \\(MSI_MONITOR_LISTEN\\)`),
    });
  });

  it('makes no answers for those who send requests without waiting for the last answer', async () => {
    let made = 0;
    const status = () => {
      made += 1;
      return someStatus();
    };
    const where = await disposables.add(statusServerOf({ status })).start();
    const socket = connect(where.port, where.host);
    socket.on('error', () => undefined);
    socket.write('GET /api/status HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n'.repeat(100));
    await readAll(socket);
    assert.ok(made <= 1, `${made} answers were made`);
    assert.equal((await ask(where, '/api/status')).status, 200);
  });

  it('lets those go who do not read', async () => {
    const status = () => someStatus({ version: 'x'.repeat(16 * 1024 * 1024) });
    const { where, server } = await startSeen(disposables.add(statusServerOf({ status, idleMillis: 50 })));
    let left = false;
    server.on('connection', (socket: Socket) => socket.once('close', () => (left = true)));
    const socket = connect(where.port, where.host);
    socket.on('error', () => undefined);
    socket.write('GET /api/status HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n');
    await until(() => left);
    socket.destroy();
  });

  it('says that a connection cannot be accepted, and goes on', async () => {
    const logged: unknown[] = [];
    const logger = {
      ...silentLogger,
      error: (message: string, fields?: { readonly err?: unknown }) => logged.push([message, fields?.err]),
    };
    const { where, server } = await startSeen(disposables.add(statusServerOf({ logger })));
    const error = new Error('accept ENOBUFS');
    server.emit('error', error);
    server.emit('error', error);
    const said = ['A connection for the status could not be accepted', error];
    assert.deepEqual(logged, [said, said]);
    assert.equal((await ask(where, '/api/status')).status, 200);
  });

  it('stops while somebody keeps a connection open, more than once', async () => {
    const server = statusServerOf();
    const { port } = await server.start();
    const idle = request({ host: '127.0.0.1', port, path: '/livez' });
    idle.on('error', () => undefined);
    idle.flushHeaders();
    await once(idle, 'socket');
    await server.stop();
    await server.stop();
    await assert.rejects(fetchStatus({ host: '127.0.0.1', port }), { code: 'MSI_STATUS_UNAVAILABLE' });
  });
});

describe('fetchStatus', () => {
  const disposables = new Disposables();
  afterEach(() => disposables.dispose());

  it('says that no monitor answers, for anything but a status', async () => {
    const other = createServer((_request, response) => response.writeHead(404).end('nothing'));
    other.listen(0, '127.0.0.1');
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    try {
      await assert.rejects(fetchStatus({ host: '127.0.0.1', port }), {
        code: 'MSI_STATUS_UNAVAILABLE',
        message: new RegExp(`127\\.0\\.0\\.1:${port}.*status 404`),
      });
    } finally {
      other.close();
    }
  });

  it('asks as localhost, by whatever name the monitor is found', async () => {
    const hosts: unknown[] = [];
    const monitor = createServer(({ headers }, response) => {
      hosts.push(headers.host);
      response.end('{}');
    });
    monitor.listen(0, '127.0.0.1');
    await once(monitor, 'listening');
    try {
      await fetchStatus({ host: '127.0.0.1', port: (monitor.address() as AddressInfo).port });
      assert.deepEqual(hosts, ['localhost']);
    } finally {
      monitor.close();
    }
  });

  it('asks on the loopback when the monitor listens on all addresses', async () => {
    const server = disposables.add(statusServerOf());
    const { port } = await server.start();
    assert.equal((await fetchStatus({ host: '0.0.0.0', port })).version, '0.1.0');
  });
});
