import assert from 'node:assert/strict';
import { runCommand } from '../lab/index.ts';

describe('the demo', () => {
  it('shows each container what was promised, and ends well', async () => {
    // In a VM of its own, whatever engine this machine has.
    const env = { ...process.env, DOCKER_HOST: undefined };
    const { exitCode, stdout, stderr } = await runCommand(
      [process.execPath, '--conditions=@msi-proxy/source', 'scripts/demo.ts'],
      { env, timeoutMillis: 170_000 },
    );
    assert.equal(exitCode, 0, stdout + stderr);
    assert.match(stdout, /All 14 as promised\./);
    assert.doesNotMatch(stdout, /^✗/m);
  });
});
