import assert from 'node:assert/strict';
import { namespaceRunner } from '../../../src/wiring/namespace-runner.ts';
import { fakeCommandRunner } from '../support/fake-command-runner.ts';

/** What nsenter of util-linux prints. */
const failures = [
  [1, 'nsenter: cannot open /ns: No such file or directory', 'MSI_NAMESPACE_GONE'],
  [1, "nsenter: reassociate to namespace 'ns/net' failed: Invalid argument", 'MSI_NAMESPACE_GONE'],
  [
    1,
    "nsenter: reassociate to namespace 'ns/net' failed: Operation not permitted",
    'MSI_WIRING_NO_CAPABILITY',
  ],
  [127, 'nsenter: failed to execute nft: No such file or directory', 'MSI_WIRING_NO_CAPABILITY'],
] as const;

describe('namespaceRunner', () => {
  for (const [exitCode, stderr, code] of failures) {
    it(`takes "${stderr}" for ${code}`, async () => {
      const inside = namespaceRunner(
        fakeCommandRunner(() => ({ exitCode, stderr })),
        '/ns',
      );

      await assert.rejects(inside.run('nft', []), { code });
    });
  }

  it('names the right that it takes to enter', async () => {
    const inside = namespaceRunner(
      fakeCommandRunner(() => ({ exitCode: 1, stderr: 'nsenter: cannot open /ns: Permission denied' })),
      '/ns',
    );

    await assert.rejects(inside.run('nft', []), { message: /SYS_ADMIN/ });
  });

  it("passes on the program's own failure", async () => {
    const inside = namespaceRunner(
      fakeCommandRunner(() => ({ exitCode: 2, stderr: 'RTNETLINK answers: Network is unreachable' })),
      '/ns',
    );

    assert.equal((await inside.run('ip', ['route'])).exitCode, 2);
  });

  it('passes on input', async () => {
    const runner = fakeCommandRunner();

    await namespaceRunner(runner, '/ns').run('nft', ['-f', '-'], { stdin: 'add table ip x' });

    assert.deepEqual(runner.inputs, ['add table ip x']);
  });
});
