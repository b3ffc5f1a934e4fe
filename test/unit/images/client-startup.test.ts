import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { repositoryRoot } from '../../../scripts/lib/repository.ts';

const SCRIPT = 'images/client/startup.sh';
const READY_URL = 'http://169.254.169.254/.msi-proxy/ready';

describe('the startup script of the client image, asking with Node', function () {
  this.timeout(20_000);
  const servers: Server[] = [];
  let folder: string;

  before(function () {
    if (process.platform === 'win32') this.skip();
  });

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'msi-proxy-startup-'));
    // A path without curl.
    symlinkSync(process.execPath, join(folder, 'node'));
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
    for (const server of servers.splice(0)) server.close();
  });

  /** Its origin. */
  async function serverAnswering(status: number): Promise<string> {
    const server = createServer((_request, response) => response.writeHead(status).end()).listen(
      0,
      '127.0.0.1',
    );
    servers.push(server);
    await once(server, 'listening');
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  /** The exit code of the script's one question, put to this server instead of the proxy. */
  async function check(url: string, env: Readonly<Record<string, string>>): Promise<number | null> {
    const text = readFileSync(join(repositoryRoot, SCRIPT), 'utf8');
    assert.ok(text.includes(READY_URL));
    const script = join(folder, 'startup.sh');
    writeFileSync(script, text.replace(READY_URL, `${url}/`));
    const child = spawn('/bin/sh', [script, '--check'], { env: { PATH: folder, ...env }, stdio: 'ignore' });
    await once(child, 'close');
    return child.exitCode;
  }

  it('says by its exit code whether the container is served', async () => {
    assert.equal(await check(await serverAnswering(200), {}), 0);
    assert.equal(await check(await serverAnswering(403), {}), 1);
  });

  for (const switchedOn of [{ NODE_USE_ENV_PROXY: '1' }, { NODE_OPTIONS: '--use-env-proxy' }]) {
    it(`asks no HTTP proxy, also with ${Object.entries(switchedOn).join()}`, async function () {
      if (!process.allowedNodeEnvironmentFlags.has('--use-env-proxy')) this.skip();
      const elsewhere = await serverAnswering(500);
      const env = { ...switchedOn, HTTP_PROXY: elsewhere, http_proxy: elsewhere, no_proxy: 'example.com' };
      assert.equal(await check(await serverAnswering(200), env), 0);
    });
  }
});
