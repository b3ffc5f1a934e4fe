import assert from 'node:assert/strict';
import { Disposables } from '@msi-proxy/shared/testing';
import { PassThrough } from 'node:stream';
import { runCli } from '../../src/cli.ts';
import { someStatus, statusServerOf } from './status/support.ts';

interface Outcome {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function msiMonitor(
  argv: readonly string[],
  environment: Record<string, string> = {},
  onStop: (stop: () => void) => void = () => undefined,
): Promise<Outcome> {
  const written = { stdout: '', stderr: '' };
  const capture = (name: keyof typeof written) =>
    new PassThrough({ encoding: 'utf8' }).on('data', (chunk: string) => (written[name] += chunk));
  const exitCode = await runCli({
    processUsage: () => ({ residentBytes: 1, cpuMicros: 1 }),
    argv,
    environment,
    stdout: capture('stdout'),
    stderr: capture('stderr'),
    version: '1.2.3',
    platform: 'linux',
    selfArgv: ['node', 'main.js'],
    onStop,
  });
  return { exitCode, ...written };
}

describe('msi-monitor', () => {
  const disposables = new Disposables();
  afterEach(() => disposables.dispose());

  it('shows help, with every setting, and its version', async () => {
    const { exitCode, stdout } = await msiMonitor(['--help']);
    assert.equal(exitCode, 0);
    assert.match(stdout, /unwire/);
    assert.match(stdout, /MSI_MONITOR_WIRING/);
    assert.match(stdout, /DOCKER_HOST/);
    assert.deepEqual(await msiMonitor(['--version']), { exitCode: 0, stdout: '1.2.3\n', stderr: '' });
  });

  it('shows help when nothing is asked for', async () => {
    assert.match((await msiMonitor([])).stdout, /^NAME\n {4}msi-monitor - /);
  });

  for (const argv of [['walk'], ['--colour'], ['unwire'], ['unwire', 'a', '--all'], ['unwire', 'a', 'b']]) {
    it(`refuses "${argv.join(' ')}"`, async () => {
      const { exitCode, stdout, stderr } = await msiMonitor(argv);
      assert.equal(exitCode, 64);
      assert.match(stderr, /^MSI_USAGE: .*--help/);
      assert.equal(stdout, '');
    });
  }

  it('shows the status of the monitor that listens, as a table or as JSON', async () => {
    const server = disposables.add(statusServerOf());
    const { port } = await server.start();
    const environment = { MSI_MONITOR_LISTEN: `127.0.0.1:${port}` };
    const table = await msiMonitor(['status'], environment);
    assert.equal(table.exitCode, 0);
    assert.match(table.stdout, /web\s+c1c1c1c1c1c1\s+wired/);
    const json = await msiMonitor(['status', '--json'], environment);
    assert.deepEqual(JSON.parse(json.stdout), someStatus());
  });

  it('watches until it is told to end', async () => {
    const stopRequested = Promise.withResolvers<() => void>();
    const server = disposables.add(
      statusServerOf({
        status: () => {
          // Whoever asks has registered for the end before.
          void stopRequested.promise.then(stop => setImmediate(stop));
          return someStatus();
        },
      }),
    );
    const { port } = await server.start();
    const { exitCode } = await msiMonitor(
      ['status', '--watch'],
      { MSI_MONITOR_LISTEN: `127.0.0.1:${port}` },
      stopRequested.resolve,
    );
    assert.equal(exitCode, 0);
  });

  it('says where it asked when no monitor answers', async () => {
    const { exitCode, stderr } = await msiMonitor(['status'], { MSI_MONITOR_LISTEN: '127.0.0.1:1' });
    assert.equal(exitCode, 1);
    assert.match(
      stderr,
      /^MSI_STATUS_UNAVAILABLE: .*127\.0\.0\.1:1 \(MSI_MONITOR_LISTEN\).*\n→ Start the monitor/,
    );
  });

  it('says what is wrong also where what to do about it cannot be looked up', async () => {
    const environment = { DOCKER_HOST: 'ssh://vm', MSI_MONITOR_LISTEN: '127.0.0.1:1' };
    const { exitCode, stderr } = await msiMonitor(['status'], environment);
    assert.equal(exitCode, 1);
    assert.match(stderr, /^MSI_STATUS_UNAVAILABLE: .*\n→ Start the monitor.*\n$/);
  });

  it('ends with 78 and names the setting that cannot be used', async () => {
    const { exitCode, stderr } = await msiMonitor(['unwire', '--all'], { MSI_MONITOR_WIRING: 'bridge' });
    assert.equal(exitCode, 78);
    assert.match(stderr, /MSI_MONITOR_WIRING is "bridge": expected .*"attach"/);
  });

  it('examines, and tells the worst by its exit code', async () => {
    const environment = { DOCKER_HOST: 'unix:///nowhere/docker.sock', MSI_MONITOR_LISTEN: '127.0.0.1:1' };
    const json = await msiMonitor(['doctor', 'web', '--json'], environment);
    assert.equal(json.exitCode, 1);
    const { result, checks } = JSON.parse(json.stdout) as { result: string; checks: { id: string }[] };
    assert.equal(result, 'failed');
    assert.ok(checks.some(({ id }) => id === 'client-label'));
    const text = await msiMonitor(['doctor'], environment);
    assert.match(text.stdout, /^failed {3}Docker engine .*\/nowhere\/docker\.sock does not exist/m);
    assert.match(text.stdout, /^ +→ Start /m);
  });

  it('says what to do about an engine that is not there', async () => {
    const environment = { DOCKER_HOST: 'unix:///nowhere/docker.sock' };
    const { exitCode, stderr } = await msiMonitor(['explain', 'web'], environment);
    assert.equal(exitCode, 1);
    assert.match(stderr, /^MSI_ENGINE_UNREACHABLE: .*does not exist.*\n→ Start the engine/);
  });

  it('completes nothing, and says nothing, where there is no engine', async () => {
    const environment = { DOCKER_HOST: 'unix:///nowhere/docker.sock' };
    assert.deepEqual(await msiMonitor(['__complete', 'doctor', ''], environment), {
      exitCode: 0,
      stdout: '',
      stderr: '',
    });
  });
});
