import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { localCommandRunner, systemClock, type ProxyCheck } from '@msi-proxy/shared';
import { runCheck } from '../../../src/check/check-command.ts';
import { callerAt } from '../support/callers.ts';
import { startProxy, type ProxyUnderTest } from '../support/running-proxy.ts';

describe('the check of a proxy', () => {
  let imds: Server;
  let proxy: ProxyUnderTest;
  let asked: string[];
  let imdsStatus: number;
  let imdsPort: number;

  beforeEach(async () => {
    asked = [];
    imdsStatus = 200;
    imds = createServer((request, response) => {
      asked.push(`${request.url ?? ''} ${String(request.headers['metadata'])}`);
      response.writeHead(imdsStatus).end('{}');
    }).listen(0, '127.0.0.1');
    await once(imds, 'listening');
    imdsPort = (imds.address() as AddressInfo).port;
    proxy = await startProxy({ imdsPort });
  });
  afterEach(async () => {
    await proxy.stop();
    imds.closeAllConnections();
    imds.close();
  });

  async function check(format: 'json' | 'text') {
    const stdout = new PassThrough();
    const exitCode = await runCheck(
      {
        listen: { host: '127.0.0.1', port: proxy.port },
        imdsAddress: { host: '127.0.0.1', port: imdsPort },
        route: 'auto',
        policy: 'audit',
        requireIdentity: false,
        controlSocket: proxy.socketPath,
        runner: localCommandRunner,
        platform: 'linux',
        clock: systemClock,
        stdout,
      },
      format,
    );
    stdout.end();
    return { exitCode, printed: await text(stdout) };
  }

  it('tells the route, what IMDS and the server answer, and whom the server knows', async () => {
    const caller = callerAt('172.17.0.2');
    await proxy.join(caller);
    const { exitCode, printed } = await check('json');
    assert.equal(exitCode, 0);
    const seen = JSON.parse(printed) as ProxyCheck;
    assert.deepEqual(seen.route, { ok: true, seen: `not needed: IMDS is at 127.0.0.1:${imdsPort}` });
    assert.match(seen.imds.seen, /answers with status 200/);
    assert.equal(seen.server.ok, true);
    assert.deepEqual(seen.callers, [caller]);
    assert.deepEqual(seen.policy, { mode: 'audit', requireIdentity: false });
    assert.deepEqual(asked, ['/metadata/versions true']);
  });

  it('fails when one of them is missing, and names it', async () => {
    imdsStatus = 503;
    const { exitCode, printed } = await check('text');
    assert.equal(exitCode, 1);
    assert.match(printed, /^failed {2}imds: 127\.0\.0\.1:\d+ answers with status 503$/m);
    assert.match(printed, /^ok {6}server: /m);
    assert.match(printed, /policies are only recorded/);
  });

  it('says that IMDS does not answer', async () => {
    imds.closeAllConnections();
    imds.close();
    await once(imds, 'close');
    const { printed } = await check('text');
    assert.match(printed, /^failed {2}imds: \S+ does not answer \(ECONNREFUSED\)$/m);
  });
});
