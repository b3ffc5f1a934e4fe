import assert from 'node:assert/strict';
import { type CommandRunner, localCommandRunner } from '@msi-proxy/shared';

const node = (script: string, options = {}) =>
  localCommandRunner.run(process.execPath, ['-e', script], options);

describe('the command runner', () => {
  it('gives back what a program printed, and its exit code also when it is not 0', async () => {
    const script = 'process.stdout.write("out"); process.stderr.write("err"); process.exitCode = 3';
    assert.deepEqual(await node(script), { exitCode: 3, stdout: 'out', stderr: 'err' });
  });

  it('gives a program its input', async () => {
    const { stdout } = await node('process.stdin.pipe(process.stdout)', { stdin: 'add table ip x\n' });
    assert.equal(stdout, 'add table ip x\n');
  });

  it('takes it that a program leaves its input unread', async () => {
    const { exitCode } = await node('process.exit(0)', { stdin: 'x'.repeat(1_000_000) });
    assert.equal(exitCode, 0);
  });

  it('passes arguments as they are, never through a shell', async () => {
    const hostile = '$(touch /tmp/x); `id` "\' \n *';
    const argv = ['-e', 'process.stdout.write(process.argv[1])', hostile];
    const { stdout } = await localCommandRunner.run(process.execPath, argv);
    assert.equal(stdout, hostile);
  });

  it('says that a program is not installed', async () => {
    await assert.rejects(localCommandRunner.run('no-such-program', []), {
      code: 'MSI_WIRING_NO_CAPABILITY',
      message: /no-such-program is not installed/,
    });
  });

  it('ends a program that takes too long', async () => {
    await assert.rejects(node('setInterval(() => {}, 1_000)', { timeoutMillis: 100 }), {
      code: 'MSI_WIRING_COMMAND',
    });
  });

  describe('follows a program', () => {
    const follow: NonNullable<CommandRunner['follow']> = async (file, argv, options) =>
      await localCommandRunner.follow!(file, argv, options);

    it('line by line until it is told to end it', async () => {
      const ending = new AbortController();
      const lines: string[] = [];
      const onLine = (line: string) => {
        lines.push(line);
        if (lines.length === 2) ending.abort();
      };
      const script = `setInterval(() => console.log('one\\ntwo'), 5)`;

      const { exitCode } = await follow(process.execPath, ['-e', script], { onLine, signal: ending.signal });

      assert.deepEqual(lines.slice(0, 2), ['one', 'two']);
      assert.equal(exitCode, 137);
    });

    it('and says what it ended with', async () => {
      const { signal } = new AbortController();
      const script = 'process.stderr.write("err"); process.exitCode = 3';

      const result = await follow(process.execPath, ['-e', script], { onLine: () => undefined, signal });

      assert.deepEqual(result, { exitCode: 3, stdout: '', stderr: 'err' });
      await assert.rejects(follow('no-such-program', [], { onLine: () => undefined, signal }), {
        code: 'MSI_WIRING_NO_CAPABILITY',
      });
    });

    it('without staying alive for it', async function () {
      this.timeout(20_000);
      const script = `import { localCommandRunner } from '@msi-proxy/shared';
        const { signal } = new AbortController();
        void localCommandRunner.follow('sleep', ['15'], { onLine: () => {}, signal });`;
      const argv = ['--conditions=@msi-proxy/source', '--input-type=module', '--eval', script];
      const { exitCode } = await localCommandRunner.run(process.execPath, argv, { timeoutMillis: 14_000 });
      assert.equal(exitCode, 0);
    });

    it('and only fails when there are no files left for its pipes', async function () {
      if (process.platform === 'win32') this.skip();
      this.timeout(20_000);
      const script = `import { openSync } from 'node:fs';
        import { localCommandRunner } from '@msi-proxy/shared';
        try { for (;;) openSync('/dev/null'); } catch {}
        const { signal } = new AbortController();
        const failed = await localCommandRunner
          .follow('sleep', ['15'], { onLine: () => {}, signal })
          .catch(error => error);
        process.exitCode = failed.code === 'MSI_WIRING_COMMAND' && /EMFILE/.test(failed.message) ? 0 : 9;`;
      const argv = ['--conditions=@msi-proxy/source', '--input-type=module', '--eval', script];
      const limited = ['-c', 'ulimit -n 64 && exec "$0" "$@"', process.execPath, ...argv];
      const { exitCode, stderr } = await localCommandRunner.run('sh', limited, { timeoutMillis: 14_000 });
      assert.equal(exitCode, 0, stderr);
    });
  });

  describe('prepares a program', () => {
    const prepare = (script: string) => localCommandRunner.prepare!(process.execPath, ['-e', script]);

    it('that waits for its input', async () => {
      const program = prepare('process.stdin.pipe(process.stdout)');
      assert.deepEqual(await program.run('flush map'), { exitCode: 0, stdout: 'flush map', stderr: '' });
    });

    it('and fails like any other when it is not installed or has ended', async () => {
      await assert.rejects(localCommandRunner.prepare!('no-such-program', []).run(''), {
        code: 'MSI_WIRING_NO_CAPABILITY',
      });
      const cancelled = prepare('process.stdin.resume()');
      cancelled.cancel();
      await assert.rejects(cancelled.run(''), { code: 'MSI_WIRING_COMMAND' });
    });

    it('without staying alive for it', async () => {
      const script = `import { localCommandRunner } from '@msi-proxy/shared';
        localCommandRunner.prepare('cat', []);`;
      const argv = ['--conditions=@msi-proxy/source', '--input-type=module', '--eval', script];
      const { exitCode } = await localCommandRunner.run(process.execPath, argv, { timeoutMillis: 4_000 });
      assert.equal(exitCode, 0);
    });
  });
});
