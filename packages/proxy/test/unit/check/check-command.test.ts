import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PassThrough } from 'node:stream';
import { systemClock, type CommandRunner, type ProxyCheck } from '@msi-proxy/shared';
import { runCheck } from '../../../src/check/check-command.ts';
import { callerAt } from '../support/callers.ts';
import { startProxy, type ProxyUnderTest } from '../support/running-proxy.ts';

function kernel(stdout: string, exitCode = 0): CommandRunner {
  return { run: () => Promise.resolve({ exitCode, stdout, stderr: exitCode === 0 ? '' : 'unreachable' }) };
}

const ROUTED = kernel('[{"dst":"169.254.169.254","gateway":"172.31.0.1","dev":"eth0"}]');

describe('the check of a proxy', () => {
  let imds: Server;
  let proxy: ProxyUnderTest;
  let asked: string[];
  let imdsStatus: number;

  beforeEach(async () => {
    asked = [];
    imdsStatus = 200;
    imds = createServer((request, response) => {
      asked.push(`${request.url ?? ''} ${String(request.headers['metadata'])}`);
      response.writeHead(imdsStatus).end('{}');
    }).listen(0, '127.0.0.1');
    await once(imds, 'listening');
    proxy = await startProxy({ imdsPort: (imds.address() as AddressInfo).port });
  });
  afterEach(async () => {
    await proxy.stop();
    imds.closeAllConnections();
    imds.close();
  });

  async function check(runner: CommandRunner, format: 'json' | 'text') {
    const stdout = new PassThrough();
    const exitCode = await runCheck(
      {
        listen: { host: '127.0.0.1', port: proxy.port },
        imdsAddress: { host: '127.0.0.1', port: (imds.address() as AddressInfo | null)?.port ?? 9 },
        controlSocket: proxy.socketPath,
        runner,
        platform: 'linux',
        clock: systemClock,
        stdout,
      },
      format,
    );
    return { exitCode, text: String(stdout.read()) };
  }

  it('tells the route, what IMDS and the server answer, and whom the server knows', async () => {
    const caller = callerAt('172.17.0.2');
    await proxy.join(caller);
    const { exitCode, text } = await check(ROUTED, 'json');
    assert.equal(exitCode, 0);
    const seen = JSON.parse(text) as ProxyCheck;
    assert.deepEqual(seen.route, { ok: true, seen: '169.254.169.254 goes through 172.31.0.1 (eth0)' });
    assert.match(seen.imds.seen, /answers with status 200/);
    assert.equal(seen.server.ok, true);
    assert.deepEqual(seen.callers, [caller]);
    assert.deepEqual(asked, ['/metadata/versions true']);
  });

  it('fails when one of them is missing, and names it', async () => {
    imdsStatus = 503;
    const { exitCode, text } = await check(kernel('', 2), 'text');
    assert.equal(exitCode, 1);
    assert.match(text, /^failed {2}route: ip route get 169\.254\.169\.254: unreachable$/m);
    assert.match(text, /^failed {2}imds: 127\.0\.0\.1:\d+ answers with status 503$/m);
    assert.match(text, /^ok {6}server: /m);
  });

  it('says that IMDS does not answer', async () => {
    imds.closeAllConnections();
    imds.close();
    await once(imds, 'close');
    const { text } = await check(ROUTED, 'text');
    assert.match(text, /^failed {2}imds: \S+ does not answer \(ECONNREFUSED\)$/m);
  });
});
