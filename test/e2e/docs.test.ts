import assert from 'node:assert/strict';
import { dirname, join } from 'node:path';
import { type CommandBlock, type Step } from '../docs/command-blocks.ts';
import { isAsShown } from '../docs/output-pattern.ts';
import { readPages } from '../docs/pages.ts';
import { BASE_IMAGE, waitUntil } from '../lab/index.ts';
import { Scenario } from './support/scenario.ts';

const PRODUCT_IMAGES = ['proxy', 'monitor', 'client', 'imds-emulator'].map(name => `msi-proxy/${name}`);
/** What pages call the reader's own image: here one that idles, and has curl. */
const READERS_IMAGE = 'your/image';
/** How long output may take that a page says comes after a moment. */
const EVENTUALLY_MILLIS = 60_000;

const pages = (await readPages()).filter(({ blocks }) => blocks.length > 0);

// What a page shows is what a reader copies: each page's commands are run in their order on a VM of its own.
describe('the commands in the documentation', () => {
  for (const { path, blocks } of pages) {
    const run = blocks.filter(({ notRun }) => notRun === undefined);
    const reasons = new Set(blocks.flatMap(({ notRun }) => notRun ?? []));
    before(() => reasons.forEach(reason => console.log(`    ${path}, in part: not run, ${reason}`)));
    if (run.length === 0) continue;

    it(`${path} does what it says, in ${run.length} blocks of commands`, async function () {
      this.timeout(run.length * 2 * EVENTUALLY_MILLIS);
      await using scenario = await startWithImages();
      for (const block of run) {
        await follow(scenario, block).catch((error: unknown) => {
          throw new Error(`${path}:${block.line}: ${(error as Error).message}`, { cause: error });
        });
      }
    });
  }
});

async function startWithImages(): Promise<Scenario> {
  const scenario = await Scenario.start({ wiring: 'host' });
  for (const image of PRODUCT_IMAGES) await scenario.docker('tag', image, `${image}:0.1.0`);
  await scenario.docker('create', '--name', 'image', BASE_IMAGE, 'sleep', 'infinity');
  await scenario.docker('commit', '--change', 'CMD ["sleep", "infinity"]', 'image', READERS_IMAGE);
  await scenario.docker('rm', 'image');
  return scenario;
}

async function follow(
  scenario: Scenario,
  { preparation, steps, eventually, exitCode }: CommandBlock,
): Promise<void> {
  if (preparation !== undefined) await runAsReader(scenario, preparation, 0);
  for (const step of steps) {
    if (!eventually) {
      checkOutput(step, await runAsReader(scenario, step.commands, exitCode));
      continue;
    }
    let last: unknown;
    await waitUntil(
      async () => {
        try {
          checkOutput(step, await runAsReader(scenario, step.commands, exitCode));
          return true;
        } catch (error) {
          last = error;
          return false;
        }
      },
      { what: step.commands, timeoutMillis: EVENTUALLY_MILLIS, intervalMillis: 300 },
    ).catch((error: unknown) => {
      throw last ?? error;
    });
  }
}

function checkOutput({ commands, output }: Step, printed: string): void {
  if (process.env.DOCS_PRINT) console.log(`$ ${commands}\n${printed}`);
  if (output === undefined) return;
  assert.ok(isAsShown(output, printed), `$ ${commands}\nprinted:\n${printed}\nthe page shows:\n${output}`);
}

/** Runs commands in a reader's shell. */
async function runAsReader({ vm }: Scenario, commands: string, expectedExitCode: number): Promise<string> {
  // Folders of the reader's machine: the lab's engine has its socket elsewhere, and nothing is written outside of the lab's.
  const socketFolder = dirname(vm.engine.socketPath);
  const here = commands
    .replaceAll('/var/run:/host/run', `${socketFolder}:/host/run`)
    .replaceAll(/\/etc\/msi-proxy(?!:ro)/g, join(vm.directory, 'etc'))
    // Compose 1, and Debian's package of Compose 2, are programs of this name.
    .replaceAll('docker compose ', 'docker-compose ');
  const { exitCode, stdout, stderr } = await vm.run(['bash', '-euo', 'pipefail', '-c', `{ ${here}\n} 2>&1`], {
    env: {
      ...process.env,
      DOCKER_HOST: vm.engine.host,
      // What the files for Compose and Swarm mount.
      DOCKER_SOCKET_FOLDER: socketFolder,
    },
  });
  assert.equal(exitCode, expectedExitCode, `$ ${commands}\n${stdout}${stderr}`);
  return stdout;
}
