import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { withoutStartingServices } from '../../../scripts/lib/service-policy.ts';

const MODULE = new URL('../../../scripts/lib/service-policy.ts', import.meta.url).href;
const FORBIDDEN = 101;

describe('while packages are installed, services', function () {
  this.timeout(20_000);
  let folder: string;
  let policy: string;
  const answer = () => spawnSync(policy, ['docker', 'start']).status;

  before(function () {
    if (process.platform !== 'linux') this.skip();
  });

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'msi-proxy-policy-'));
    policy = join(folder, 'policy-rc.d');
  });

  afterEach(() => rmSync(folder, { recursive: true }));

  /** Leaves the policy of a run that was killed. */
  async function interruptedRun(): Promise<void> {
    const script = `import { withoutStartingServices } from ${JSON.stringify(MODULE)};
      await withoutStartingServices(() => new Promise(() => {
        console.log('under way');
        setInterval(() => {}, 1_000);
      }), ${JSON.stringify(policy)});`;
    const argv = ['--no-warnings', '--input-type=module', '--eval', script];
    const run = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(run.stdout, 'data');
    assert.equal(answer(), FORBIDDEN);
    run.kill('SIGINT');
    await once(run, 'close');
  }

  it('are not started, and are afterwards', async () => {
    assert.equal(await withoutStartingServices(() => Promise.resolve(answer()), policy), FORBIDDEN);
    await assert.rejects(withoutStartingServices(() => Promise.reject(new Error('no network')), policy));
    assert.equal(existsSync(policy), false);
  });

  it('may be started again when the run was interrupted, and a later one leaves nothing of it', async () => {
    await interruptedRun();
    assert.equal(answer(), 0);
    assert.equal(await withoutStartingServices(() => Promise.resolve(answer()), policy), FORBIDDEN);
    assert.equal(existsSync(policy), false);
  });

  it('are left to a policy that somebody else has made', async () => {
    writeFileSync(policy, '#!/bin/sh\nexit 104\n', { mode: 0o755 });
    assert.equal(await withoutStartingServices(() => Promise.resolve(answer()), policy), 104);
    assert.equal(readFileSync(policy, 'utf8'), '#!/bin/sh\nexit 104\n');
  });
});
