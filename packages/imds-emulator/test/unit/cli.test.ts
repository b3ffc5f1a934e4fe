import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { PassThrough } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { settle } from '@msi-proxy/shared/testing';
import { runCli } from '../../src/cli.ts';

interface CliRun {
  readonly exitCode: Promise<number>;
  readonly stop: () => void;
  /** What was written so far. */
  readonly written: { stdout: string; stderr: string };
}

function start(argv: readonly string[], environment: Record<string, string> = {}): CliRun {
  const written = { stdout: '', stderr: '' };
  const capture = (name: 'stdout' | 'stderr') =>
    new PassThrough({ encoding: 'utf8' }).on('data', (chunk: string) => (written[name] += chunk));
  const stopping = new AbortController();
  const exitCode = runCli({
    argv,
    environment,
    version: '1.2.3',
    platform: 'linux',
    stdout: capture('stdout'),
    stderr: capture('stderr'),
    signal: stopping.signal,
  });
  return { exitCode, stop: () => stopping.abort(), written };
}

const ANY_PORTS = { IMDS_EMULATOR_LISTEN: '127.0.0.1:0', IMDS_EMULATOR_CONTROL_LISTEN: '127.0.0.1:0' };

interface ServingLine {
  readonly msg: string;
  readonly listen: { port: number };
  readonly controlListen: { port: number };
  readonly vmExtensionListen?: { port: number };
  readonly settings: Record<string, string>;
}

async function servingLine({ written }: CliRun): Promise<ServingLine> {
  for (;;) {
    const line = written.stdout.split('\n').find(each => each.includes('"serving"'));
    if (line !== undefined) return JSON.parse(line) as ServingLine;
    await settle();
  }
}

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

async function listenAnywhere(port = 0): Promise<{ port: number; close: () => void }> {
  const server = createServer().listen(port, '127.0.0.1');
  await once(server, 'listening');
  return { port: (server.address() as AddressInfo).port, close: () => server.close() };
}

describe('imds-emulator', () => {
  it('serves until it is told to stop, and says its settings once', async () => {
    const run = start([], { ...ANY_PORTS, IMDS_EMULATOR_TOKEN_LIFETIME_SECONDS: '60' });
    const line = await servingLine(run);
    const response = await fetch(`http://127.0.0.1:${line.listen.port}/metadata/versions`, {
      headers: { Metadata: 'true' },
    });
    assert.equal(response.status, 200);
    assert.equal(line.msg, 'serving');
    assert.equal(line.settings['IMDS_EMULATOR_TOKEN_LIFETIME_SECONDS'], '60');
    run.stop();
    assert.equal(await run.exitCode, 0);
    await assert.rejects(fetch(`http://127.0.0.1:${line.listen.port}/`), TypeError);
  });

  it('serves the VM extension where it is told to', async () => {
    const run = start([], { ...ANY_PORTS, IMDS_EMULATOR_VM_EXTENSION_LISTEN: '127.0.0.1:0' });
    const line = await servingLine(run);
    const response = await fetch(`http://127.0.0.1:${line.vmExtensionListen?.port}/oauth2/token?resource=x`, {
      headers: { Metadata: 'true' },
    });
    assert.equal(response.status, 200);
    await response.text();
    run.stop();
    assert.equal(await run.exitCode, 0);
  });

  it('tells whether one is healthy', async () => {
    const run = start(['serve'], ANY_PORTS);
    const { controlListen } = await servingLine(run);
    const check = (host: string) =>
      start(['healthcheck'], { IMDS_EMULATOR_CONTROL_LISTEN: `${host}:${controlListen.port}` }).exitCode;
    assert.equal(await check('127.0.0.1'), 0);
    assert.equal(await check('0.0.0.0'), 0);
    run.stop();
    await run.exitCode;
    assert.equal(await check('127.0.0.1'), 1);
  });

  it('ends with 78 and names every setting that is wrong', async () => {
    const run = start([], {
      IMDS_EMULATOR_LISTEN: 'here',
      IMDS_EMULATOR_RATE_LIMITS: 'maybe',
      IMDS_EMULATOR_TOKEN_LIFETIME_SECONDS: '0',
    });
    assert.equal(await run.exitCode, 78);
    const { stderr } = run.written;
    assert.match(stderr, /IMDS_EMULATOR_LISTEN is "here": expected host:port/);
    assert.match(stderr, /IMDS_EMULATOR_RATE_LIMITS is "maybe"/);
    assert.match(stderr, /IMDS_EMULATOR_TOKEN_LIFETIME_SECONDS is "0"/);
  });

  it('ends with 78 when the VM file cannot be read', async () => {
    const run = start([], { ...ANY_PORTS, IMDS_EMULATOR_VM: '/nonexistent/vm.json' });
    assert.equal(await run.exitCode, 78);
    assert.match(run.written.stderr, /IMDS_EMULATOR_VM is "\/nonexistent\/vm\.json"/);
  });

  it('ends with 1 when an address is taken, and frees the other', async () => {
    const [taken, other] = [await listenAnywhere(), await listenAnywhere()];
    other.close();
    const run = start([], {
      IMDS_EMULATOR_LISTEN: `127.0.0.1:${other.port}`,
      IMDS_EMULATOR_CONTROL_LISTEN: `127.0.0.1:${taken.port}`,
    });
    assert.equal(await run.exitCode, 1);
    assert.match(run.written.stderr, /cannot listen on 127\.0\.0\.1:\d+: .*EADDRINUSE/);
    taken.close();
    (await listenAnywhere(other.port)).close();
  });

  it('warns of a setting that it does not know', async () => {
    const run = start([], { ...ANY_PORTS, IMDS_EMULATOR_LISTEM: 'x' });
    await servingLine(run);
    run.stop();
    await run.exitCode;
    assert.match(
      run.written.stdout,
      /"msg":"IMDS_EMULATOR_LISTEM is not a setting .*did you mean IMDS_EMULATOR_LISTEN/,
    );
  });

  it('prints its settings as help', async () => {
    const run = start(['--help']);
    assert.equal(await run.exitCode, 0);
    assert.match(run.written.stdout, /^NAME\n {4}imds-emulator - /);
    assert.match(run.written.stdout, /IMDS_EMULATOR_CONTROL_LISTEN\n.*\n.*\n *Default: 127\.0\.0\.1:8170/);
  });

  for (const argv of [['server'], ['serve', 'now'], ['--port']]) {
    it(`ends with 64 for "${argv.join(' ')}"`, async () => {
      const run = start(argv);
      assert.equal(await run.exitCode, 64);
      assert.match(run.written.stderr, /^MSI_USAGE: .*see imds-emulator/);
    });
  }

  it('logs requests without their query and without tokens', async () => {
    const run = start([], ANY_PORTS);
    const { listen } = await servingLine(run);
    await fetch(
      `http://127.0.0.1:${listen.port}/metadata/identity/oauth2/token?api-version=2018-02-01&resource=secret`,
      { headers: { Metadata: 'true' } },
    ).then(response => response.text());
    run.stop();
    await run.exitCode;
    const { stdout } = run.written;
    assert.match(stdout, /"msg":"request".*"path":"\/metadata\/identity\/oauth2\/token","status":200/);
    assert.doesNotMatch(stdout, /eyJ|secret/);
  });

  it('ends with 0 after SIGTERM', async () => {
    const program = spawn(process.execPath, ['--conditions=@msi-proxy/source', MAIN], {
      env: ANY_PORTS,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(program.stdout, 'data');
    program.kill('SIGTERM');
    assert.deepEqual(await once(program, 'exit'), [0, null]);
  });
});
