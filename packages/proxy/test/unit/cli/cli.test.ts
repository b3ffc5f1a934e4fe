import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { runCli } from '../../../src/cli.ts';
import { PROXY_SETTINGS } from '../../../src/config.ts';

/** Runs what needs no process of its own. */
async function run(...argv: string[]): Promise<{ exitCode: number; stdout: string; stderr: string }> {
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  const exitCode = await runCli({
    processUsage: () => ({ residentBytes: 1, cpuMicros: 1 }),
    argv,
    environment: { MSI_PROXY_CONTROL_SOCKET: 'not/absolute', MSI_PROXY_LISTEN: 'nowhere' },
    stdin: new PassThrough(),
    stdout,
    stderr,
    identity: {},
    platform: 'linux',
    version: '1.2.3',
    onStop: () => undefined,
  });
  return { exitCode, stdout: String(stdout.read() ?? ''), stderr: String(stderr.read() ?? '') };
}

const wordsOf = (text: string): string => text.replace(/\s+/g, ' ');

describe('the command line', () => {
  for (const argument of ['--help', '-h', 'help']) {
    it(`lists every command and every setting at ${argument}`, async () => {
      const { exitCode, stdout } = await run(argument);
      assert.equal(exitCode, 0);
      for (const command of ['serve', 'control', 'healthcheck'])
        assert.match(stdout, new RegExp(`^ {4}${command}$`, 'm'));
      const words = wordsOf(stdout);
      for (const { env, description } of Object.values(PROXY_SETTINGS)) {
        assert.ok(stdout.includes(`    ${env}\n`), env);
        assert.ok(words.includes(wordsOf(description)), env);
      }
    });
  }

  it('shows the version', async () => {
    assert.deepEqual(await run('--version'), { exitCode: 0, stdout: '1.2.3\n', stderr: '' });
  });

  for (const { argv, unknown } of [
    { argv: ['start'], unknown: 'start' },
    { argv: ['--port', '80'], unknown: '--port' },
    { argv: ['serve', '--verbose'], unknown: '--verbose' },
    { argv: ['control', 'x'], unknown: 'x' },
  ]) {
    it(`does not know "${unknown}" in "${argv.join(' ')}"`, async () => {
      const { exitCode, stdout, stderr } = await run(...argv);
      assert.equal(exitCode, 64);
      assert.equal(stdout, '');
      assert.match(stderr, new RegExp(`"${unknown}".*--help`));
    });
  }

  it('says which setting of `control` and of `healthcheck` cannot be used', async () => {
    const control = await run('control');
    assert.equal(control.exitCode, 78);
    assert.match(control.stderr, /^MSI_PROXY_CONTROL_SOCKET is "not\/absolute": expected an absolute path/);
    const healthcheck = await run('healthcheck');
    assert.equal(healthcheck.exitCode, 78);
    assert.match(healthcheck.stderr, /^MSI_PROXY_LISTEN is "nowhere": expected host:port/);
  });
});
