import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TOKEN_MARKERS } from '@msi-proxy/imds-emulator';
import { mustRun } from '../../lab/index.ts';
import { FakeMonitor } from '../../../packages/proxy/test/unit/support/fake-monitor.ts';
import { callerAt } from '../../../packages/proxy/test/unit/support/callers.ts';
import { ask, CLIENT_ADDRESS } from '../../../packages/proxy/test/unit/support/raw-client.ts';
import { harmlessSettings } from '../../../packages/proxy/test/unit/support/program.ts';
import { builtFiles } from '../../../scripts/lib/built-files.ts';
import { repositoryRoot } from '../../../scripts/lib/repository.ts';
import { ReleasedProgram } from './released-program.ts';

const PACKAGES = ['shared', 'proxy', 'monitor', 'imds-emulator'] as const;
const TOKEN = '/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://vault.azure.net';
const TIMEOUT_MILLIS = 300_000;

/** What every package holds besides what is built. */
const WRITTEN = ['package.json', 'README.md', 'LICENSE'];

interface Packed {
  readonly name: string;
  readonly filename: string;
  readonly version: string;
  readonly files: readonly { readonly path: string }[];
}

describe('the packages as they are published, installed into an empty project', function () {
  this.timeout(TIMEOUT_MILLIS);
  let project: string;
  let packed: readonly Packed[];

  before(async () => {
    project = await mkdtemp(join(tmpdir(), 'msi-proxy-packages-'));
    await mustRun(['npm', 'run', 'build'], { cwd: repositoryRoot, timeoutMillis: TIMEOUT_MILLIS });
    const workspaces = PACKAGES.flatMap(name => ['--workspace', `packages/${name}`]);
    // What npm runs before it packs writes among the JSON.
    const pack = [
      'npm',
      'pack',
      '--json',
      '--no-foreground-scripts',
      '--pack-destination',
      project,
      ...workspaces,
    ] as const;
    packed = JSON.parse(
      await mustRun(pack, { cwd: repositoryRoot, timeoutMillis: TIMEOUT_MILLIS }),
    ) as Packed[];
    await writeFile(join(project, 'package.json'), '{"name":"consumer","private":true,"type":"module"}');
    const archives = packed.map(({ filename }) => `./${filename}`);
    const options = ['--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts'];
    await mustRun(['npm', 'install', ...options, ...archives], {
      cwd: project,
      timeoutMillis: TIMEOUT_MILLIS,
    });
  });
  after(() => rm(project, { recursive: true, force: true }));

  for (const name of PACKAGES) {
    it(`${name} holds what was built, its list of contents, a README and a licence, and nothing else`, () => {
      const { files } = packed.find(each => each.name === `@msi-proxy/${name}`)!;
      const wanted = [...WRITTEN, ...builtFiles(`packages/${name}`)];
      assert.deepEqual(files.map(({ path }) => path).sort(), wanted.sort());
    });
  }

  for (const program of ['msi-proxy', 'msi-monitor', 'imds-emulator']) {
    it(`${program} tells its version`, async () => {
      const output = await mustRun([join(project, 'node_modules/.bin', program), '--version']);
      assert.ok(output.includes(packed[0]!.version), output);
    });
  }

  it('the proxy serves a token of the emulator', async () => {
    await using emulator = ReleasedProgram.start(project, ['imds-emulator'], {
      IMDS_EMULATOR_LISTEN: '127.0.0.1:0',
      IMDS_EMULATOR_CONTROL_LISTEN: '127.0.0.1:0',
    });
    const { listen } = await emulator.logged<{ listen: { port: number } }>('serving');
    const settings = { ...harmlessSettings(project), MSI_PROXY_IMDS_ADDRESS: `127.0.0.1:${listen.port}` };
    await using proxy = ReleasedProgram.start(project, ['msi-proxy'], settings);
    const { port } = await proxy.logged<{ port: number }>('Ready');
    const monitor = new FakeMonitor(settings.MSI_PROXY_CONTROL_SOCKET);
    await monitor.join([callerAt(CLIENT_ADDRESS)]);

    const { status, body } = await ask(TOKEN, { port });

    assert.equal(status, 200);
    assert.ok(TOKEN_MARKERS.every(marker => body.includes(marker)));
    monitor.leave();
  });

  it('the monitor serves its page, and says that Docker is not there', async () => {
    await using monitor = ReleasedProgram.start(project, ['msi-monitor', 'run'], {
      DOCKER_HOST: `unix://${join(project, 'none.sock')}`,
      MSI_MONITOR_LISTEN: '127.0.0.1:0',
      // Sets no packet rules: this is the machine's own network.
      MSI_MONITOR_CONTAINER_OS: 'windows',
    });
    const { listen } = await monitor.logged<{ listen: string }>('Status is served');

    const page = await fetch(`http://${listen}/`);
    assert.equal(page.status, 200);
    const [, script = ''] = /src="([^"]+\.js)"/.exec(await page.text()) ?? [];
    assert.equal((await fetch(new URL(script, `http://${listen}/`))).status, 200);
    assert.equal((await fetch(`http://${listen}/livez`)).status, 200);
    const ready = await fetch(`http://${listen}/readyz`);
    assert.equal(ready.status, 503);
    assert.match(await ready.text(), /Docker engine is not followed/);
  });
});
