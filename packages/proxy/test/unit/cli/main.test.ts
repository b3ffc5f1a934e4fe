import assert from 'node:assert/strict';
import { Disposables, openFullPipe } from '@msi-proxy/shared/testing';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createEmulator, TOKEN_MARKERS } from '@msi-proxy/imds-emulator';
import { encodeMessage, READY_PATH } from '@msi-proxy/shared';
import { callerAt } from '../support/callers.ts';
import { FakeMonitor } from '../support/fake-monitor.ts';
import { harmlessSettings, MAIN, Program, withFolder, withProgram } from '../support/program.ts';
import { ask, CLIENT_ADDRESS } from '../support/raw-client.ts';
import { until } from '../support/until.ts';

const TOKEN = '/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://vault.azure.net';

describe('the program', function () {
  const disposables = new Disposables();
  afterEach(() => disposables.dispose());

  this.timeout(60_000); // each test starts some processes

  it('serves a container that the monitor names, and prints no warning and no token', async () => {
    const emulator = disposables.add(createEmulator());
    const { listen } = await emulator.start({ listen: { host: '127.0.0.1', port: 0 } });
    await withFolder(async folder => {
      const settings = {
        ...harmlessSettings(folder),
        MSI_PROXY_IMDS_ADDRESS: `127.0.0.1:${listen.port}`,
        MSI_PROXY_LOG_LEVEL: 'debug',
      };
      await withProgram([], settings, async program => {
        const port = await program.ready();
        const monitor = new FakeMonitor(settings.MSI_PROXY_CONTROL_SOCKET);
        await monitor.join([callerAt(CLIENT_ADDRESS)]);
        const { status, body } = await ask(TOKEN, { port });
        assert.equal(status, 200);
        assert.ok(TOKEN_MARKERS.every(marker => body.includes(marker)));
        monitor.leave();
        program.signal('SIGTERM');
        assert.equal(await program.ended, 0);
        assert.equal(program.stderr, '');
        assert.ok(program.stdout.includes('"msg":"request"'));
        for (const marker of TOKEN_MARKERS) assert.ok(!program.stdout.includes(marker));
      });
    });
  });

  it('serves on when its log cannot be written', async () => {
    await withFolder(async folder => {
      const settings = harmlessSettings(folder);
      const socketPath = settings.MSI_PROXY_CONTROL_SOCKET;
      const fullDisk = openSync('/dev/full', 'w');
      const child = spawn(process.execPath, ['--conditions=@msi-proxy/source', MAIN], {
        env: { PATH: process.env['PATH'], ...settings },
        stdio: ['ignore', fullDisk, 'pipe'],
      });
      const ended = once(child, 'close');
      try {
        await until(() => child.exitCode !== null || existsSync(socketPath));
        assert.equal(child.exitCode, null, String(child.stderr?.read()));
        const monitor = new FakeMonitor(socketPath);
        await monitor.join([callerAt(CLIENT_ADDRESS)]);
        const port = monitor.messages('welcome')[0]!.port;
        assert.equal((await ask(READY_PATH, { port, headers: [] })).status, 200);
        monitor.leave();
      } finally {
        child.kill('SIGKILL');
        await ended;
        closeSync(fullDisk);
      }
    });
  });

  it('ends when it is stopped while nobody reads its log', async () => {
    await withFolder(async folder => {
      const settings = harmlessSettings(folder);
      const pipe = openFullPipe(join(folder, 'log'));
      const child = spawn(process.execPath, ['--conditions=@msi-proxy/source', MAIN], {
        env: { PATH: process.env['PATH'], ...settings },
        stdio: ['ignore', pipe, 'pipe'],
      });
      const ended = once(child, 'close');
      try {
        await until(() => child.exitCode !== null || existsSync(settings.MSI_PROXY_CONTROL_SOCKET));
        assert.equal(child.exitCode, null, String(child.stderr?.read()));
        child.kill('SIGTERM');
        assert.deepEqual(await ended, [0, null]);
      } finally {
        child.kill('SIGKILL');
        await ended;
        closeSync(pipe);
      }
    });
  });

  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    it(`ends with 0 at ${signal}`, async () => {
      await withFolder(async folder => {
        await withProgram(['serve'], harmlessSettings(folder), async program => {
          await program.ready();
          program.signal(signal);
          assert.equal(await program.ended, 0);
          assert.deepEqual(program.logLines.at(-1)?.['msg'], 'Stopped');
        });
      });
    });
  }

  it('ends at once with 1 at a second signal, whatever is under way', async () => {
    await withFolder(async folder => {
      const settings = { ...harmlessSettings(folder), MSI_PROXY_DRAIN_MS: '300000' };
      await withProgram([], settings, async program => {
        const client = connect(await program.ready(), '127.0.0.1');
        client.on('error', () => undefined);
        client.write('GET /metadata/instance HTTP/1.1\r\n'); // and no more
        await new Promise(resolve => client.once('connect', resolve));
        // An answer on a second connection shows that the bytes of the first have been read.
        await ask('/metadata/versions', { port: client.remotePort!, headers: [] });
        program.signal('SIGTERM');
        await program.logged('Stopping');
        program.signal('SIGTERM');
        assert.equal(await program.ended, 1);
        client.destroy();
      });
    });
  });

  it('ends with 78 and names every setting that cannot be used, in one run', async () => {
    await withFolder(async folder => {
      const wrong = { MSI_PROXY_LISTEN: '80', MSI_PROXY_ROUTE: 'maybe', MSI_PROXY_DRAIN_MS: '-1' };
      await withProgram([], { ...harmlessSettings(folder), ...wrong }, async program => {
        assert.equal(await program.ended, 78);
        const lines = program.logLines;
        assert.equal(lines.length, 3);
        for (const [name, value] of Object.entries(wrong)) {
          const line = lines.find(({ msg }) => String(msg).startsWith(`${name} is "${value}": expected `));
          assert.equal(line?.['code'], 'MSI_SETTINGS_INVALID', name);
        }
      });
    });
  });

  it('warns of a setting that it does not know', async () => {
    await withFolder(async folder => {
      const settings = { ...harmlessSettings(folder), MSI_PROXY_DRAIN: '1' };
      await withProgram([], settings, async program => {
        await program.ready();
        assert.ok(
          program.logLines.some(
            ({ level, msg }) => level === 'warn' && String(msg).includes('MSI_PROXY_DRAIN '),
          ),
        );
      });
    });
  });

  it('takes settings from its file, where neither a variable nor a flag says something else', async () => {
    await withFolder(async folder => {
      const { MSI_PROXY_CONTROL_SOCKET: socketPath, ...settings } = harmlessSettings(folder);
      const path = join(folder, 'proxy.yaml');
      writeFileSync(
        path,
        `controlSocket: ${socketPath}\nroute: auto\nlogLevel: error\nlisten: 127.0.0.1:0\nholdMs: 7`,
      );
      const argv = ['--config', path, '--log-level=debug', '--listen=127.0.0.1:0'];
      await withProgram(argv, settings, async program => {
        const port = await program.ready();
        const shown = program.logLines.find(({ msg }) => msg === 'Starting')?.['settings'];
        const inForce = shown as Record<string, string>;
        assert.equal(inForce['MSI_PROXY_CONTROL_SOCKET'], socketPath);
        assert.equal(inForce['MSI_PROXY_ROUTE'], 'off');
        assert.equal(inForce['MSI_PROXY_LOG_LEVEL'], 'debug');
        assert.equal(inForce['MSI_PROXY_HOLD_MS'], '7');
        assert.ok(program.stdout.includes('--listen is not seen by the other commands'));
        // The other commands read the same file.
        const health = new Program(['healthcheck', '--config', path, `--listen=127.0.0.1:${port}`], {});
        assert.equal(await health.ended, 0);
        const tokens = new Program(['--json', 'tokens'], { MSI_PROXY_CONFIG: path });
        assert.equal(await tokens.ended, 0, tokens.stderr);
        assert.equal(tokens.stdout, '[]\n');
      });
    });
  });

  it('reads its file again at SIGHUP, and keeps what it has when something is wrong there', async () => {
    await withFolder(async folder => {
      const path = join(folder, 'proxy.yaml');
      writeFileSync(path, 'logLevel: info\nholdMs: 60000');
      const settings = { ...harmlessSettings(folder), MSI_PROXY_CONFIG: path };
      await withProgram([], settings, async program => {
        const port = await program.ready();
        const readAgain = async () => {
          const before = program.logLines.length;
          program.signal('SIGHUP');
          await until(() =>
            program.logLines.slice(before).some(({ msg }) => /read again|stay as they are/.test(String(msg))),
          );
          return program.logLines.slice(before);
        };
        // Nobody confirms the caller: the request is held for as long as the setting says.
        writeFileSync(path, 'logLevel: debug\nholdMs: 0\npolicy: audit');
        const lines = await readAgain();
        assert.deepEqual(lines.at(-1)?.['changed'], { holdMs: '0', logLevel: 'debug' });
        assert.deepEqual(lines.at(-1)?.['needRestart'], ['policy']);
        const { status } = await ask('/metadata/instance?api-version=2021-02-01', { port });
        assert.equal(status, 503);

        writeFileSync(path, 'logLevel: quiet\nholdMs: 60000');
        const refused = await readAgain();
        assert.equal(refused[0]?.['code'], 'MSI_SETTINGS_INVALID');
        assert.equal(refused[0]['file'], path);
        assert.equal(refused[0]['key'], 'logLevel');
        assert.equal((await ask('/metadata/instance?api-version=2021-02-01', { port })).status, 503);

        writeFileSync(path, 'logLevel: error');
        program.signal('SIGHUP');
        // Nothing is logged any more, also not that it was read; what is below the level before is.
        const other = new Program(['healthcheck'], { ...settings, MSI_PROXY_LISTEN: `127.0.0.1:${port}` });
        assert.notEqual(await other.ended, 78);
        program.signal('SIGTERM');
        assert.equal(await program.ended, 0);
        assert.ok(!program.stdout.includes('"msg":"Stopped"'));
      });
    });
  });

  it('ends with 78 and names all that is wrong in its file, in variables and in flags', async () => {
    await withFolder(async folder => {
      const path = join(folder, 'proxy.yaml');
      writeFileSync(path, 'lisen: 127.0.0.1:80\npolicy: maybe\nholdMs: [1]');
      const settings = { ...harmlessSettings(folder), MSI_PROXY_DRAIN_MS: '-1' };
      await withProgram(['serve', '--config', path, '--route', 'maybe'], settings, async program => {
        assert.equal(await program.ended, 78);
        const texts = program.logLines.map(({ msg }) => String(msg).replace(`${folder}/`, ''));
        assert.deepEqual(texts.map(text => text.replace(/ is .*| \(.*/, '')).toSorted(), [
          '--route',
          'MSI_PROXY_DRAIN_MS',
          'proxy.yaml:1: unknown setting "lisen"',
          'proxy.yaml:2: policy',
          'proxy.yaml:3: holdMs',
        ]);
      });
    });
  });

  it('ends with 1 when its port is taken', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await until(() => other.listening);
    const { port } = other.address() as AddressInfo;
    await withFolder(async folder => {
      const settings = { ...harmlessSettings(folder), MSI_PROXY_LISTEN: `127.0.0.1:${port}` };
      await withProgram([], settings, async program => {
        assert.equal(await program.ended, 1);
        const last = program.logLines.at(-1);
        assert.equal(last?.['code'], 'MSI_LISTEN_FAILED');
        assert.match(String(last['msg']), new RegExp(`127\\.0\\.0\\.1:${port}.*EADDRINUSE`));
      });
    });
    other.close();
  });

  it('ends with 1 when its control socket cannot be made, although the port is open by then', async () => {
    await withFolder(async folder => {
      writeFileSync(join(folder, 'run'), 'a file where the folder should be');
      await withProgram([], harmlessSettings(folder), async program => {
        assert.equal(await program.ended, 1);
        assert.equal(program.logLines.at(-1)?.['level'], 'error');
      });
    });
  });

  it('gives up root', async function () {
    if (process.getuid?.() !== 0) this.skip();
    await withFolder(async folder => {
      const settings = { ...harmlessSettings(folder), MSI_PROXY_USER: '65532' };
      await withProgram([], settings, async program => {
        await program.ready();
        const status = readFileSync(`/proc/${program.pid}/status`, 'utf8');
        assert.match(status, /^Uid:\t65532\t65532\t65532\t65532$/m);
        assert.match(status, /^Gid:\t65532\t65532\t65532\t65532$/m);
        assert.match(status, /^Groups:\t *$/m);
        assert.match(status, /^CapEff:\t0+$/m);
        program.signal('SIGTERM');
        assert.equal(await program.ended, 0);
      });
    });
  });

  it('joins a monitor on its standard streams to the server', async () => {
    await withFolder(async folder => {
      const settings = harmlessSettings(folder);
      await withProgram([], settings, async server => {
        const port = await server.ready();
        await withProgram(['control'], settings, async control => {
          control.stdin.write(
            encodeMessage({ type: 'hello', protocol: 1, sessionId: 's', monitorVersion: '0.0.0' }),
          );
          await until(() => control.stdout.includes('"welcome"'));
          assert.equal(control.logLines[0]?.['port'], port);
          control.stdin.end();
          assert.equal(await control.ended, 0);
          assert.equal(control.stderr, '');
        });
      });
    });
  });

  it('leaves the route alone when the monitor wants one and the operator none', async () => {
    await withFolder(async folder => {
      const settings = harmlessSettings(folder);
      assert.equal(settings.MSI_PROXY_ROUTE, 'off');
      await withProgram([], settings, async server => {
        await server.ready();
        // Without programs to find, to try would fail, and change nothing here.
        await withProgram(['control'], { ...settings, PATH: folder }, async control => {
          const wanted = { requestId: 1, address: '198.51.100.2', gateway: '198.51.100.1' };
          control.stdin.write(encodeMessage({ type: 'set-route', ...wanted }));
          await until(() => control.stdout.includes('"route-set"'));
          assert.match(control.stdout, /"ok":true/);
          control.stdin.end();
          assert.equal(await control.ended, 0);
        });
      });
    });
  });

  it('says so when there is no server to join', async () => {
    await withFolder(async folder => {
      await withProgram(['control'], harmlessSettings(folder), async program => {
        assert.equal(await program.ended, 1);
        assert.match(program.stderr, /^MSI_CONTROL_UNAVAILABLE: .*control\.sock: .*ENOENT/);
      });
    });
  });

  it('tells whether the server in its container is well', async () => {
    await withFolder(async folder => {
      const settings = harmlessSettings(folder);
      await withProgram([], settings, async server => {
        const port = await server.ready();
        const address = { ...settings, MSI_PROXY_LISTEN: `127.0.0.1:${port}` };
        await withProgram(['healthcheck'], address, async program => assert.equal(await program.ended, 0));
        await server.kill();
        await withProgram(['healthcheck'], address, async program => assert.equal(await program.ended, 1));
      });
    });
  });
});
