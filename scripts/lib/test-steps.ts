import { spawn, type ChildProcess } from 'node:child_process';
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { preparedEngineData, removeAbandonedLabs, type Argv } from '../../test/lab/index.ts';
import { benchObstacle, installCheckPackages, installLabPackages, labObstacle } from './debian-packages.ts';
import { nodeOfVersion, OTHER_NODE_VERSIONS } from './node-versions.ts';
import { repositoryRoot } from './repository.ts';

export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** What is known of those that failed. */
  readonly failures?: readonly Failure[];
}

export interface Failure {
  readonly title: string;
  /** The stack, or what else the failure said of itself. */
  readonly error: string;
}

export interface StepContext {
  readonly progress: (text: string) => void;
  /** Runs a program with our output and gives back its exit code. */
  readonly run: (argv: Argv) => Promise<number>;
  /** Only tests whose title matches. */
  readonly grep: string | undefined;
}

export interface Step {
  readonly name: string;
  readonly title: string;
  readonly run: (context: StepContext) => Promise<Counts>;
}

const UNIT_TESTS = '{packages/*/test,test}/unit/**/*.test.ts';
const INTEGRATION_TESTS = '{packages/*/test,test}/integration/**/*.test.ts';
const E2E_TESTS = 'test/e2e/**/*.test.ts';

export const STEPS: readonly Step[] = [
  {
    name: 'lint',
    title: 'Lint and format',
    run: context =>
      checks(
        context,
        ['eslint', '--max-warnings', '0', '.'],
        ['prettier', '--check', '--log-level', 'warn', '.'],
      ),
  },
  { name: 'types', title: 'Types', run: context => checks(context, ['tsc', '--build']) },
  {
    name: 'docs',
    title: 'Reference pages',
    run: context =>
      checks(context, [process.execPath, '--conditions=@msi-proxy/source', 'scripts/docs.ts', '--check']),
  },
  {
    name: 'unit',
    title: `Unit tests on Node ${process.versions.node}`,
    run: async context => {
      await installCheckPackages(context.progress);
      return await mocha(context, { files: UNIT_TESTS });
    },
  },
  ...OTHER_NODE_VERSIONS.map((version): Step => ({
    name: `unit-node-${version.split('.')[0]}`,
    title: `Unit tests on Node ${version}`,
    run: async context => {
      const node = await nodeOfVersion(version, context.progress);
      return await mocha(context, { files: UNIT_TESTS, node, style: 'dot' });
    },
  })),
  {
    name: 'integration',
    title: 'Integration tests',
    run: async context => {
      await installCheckPackages(context.progress);
      // Rules are tested with the real nft and iptables; without them those tests are skipped, and say so.
      if (labObstacle() === undefined) await installLabPackages(context.progress);
      return await mocha(context, { files: INTEGRATION_TESTS, timeoutMillis: 20_000 });
    },
  },
  { name: 'bench', title: 'Short benchmarks, for their ratios', run: benchmarks },
  { name: 'e2e', title: 'End-to-end tests on a simulated VM', run: endToEnd },
];

async function endToEnd(context: StepContext): Promise<Counts> {
  const obstacle = labObstacle();
  if (obstacle !== undefined) {
    context.progress(`skipped: ${obstacle}`);
    return { passed: 0, failed: 0, skipped: 1 };
  }
  await installLabPackages(context.progress);
  await preparedEngineData(context.progress);
  try {
    return await mocha(context, { files: E2E_TESTS, timeoutMillis: 300_000 });
  } finally {
    await removeAbandonedLabs();
  }
}

/** Fails when a side answers wrongly, never because of its times. */
async function benchmarks(context: StepContext): Promise<Counts> {
  const obstacle = benchObstacle();
  if (obstacle !== undefined) {
    context.progress(`skipped: ${obstacle}`);
    return { passed: 0, failed: 0, skipped: 1 };
  }
  return await checks(context, [
    process.execPath,
    '--conditions=@msi-proxy/source',
    'bench/main.ts',
    '--quick',
  ]);
}

/** Programs whose exit code is their result; each counts as one test. */
async function checks({ run }: StepContext, ...commands: readonly Argv[]): Promise<Counts> {
  let failed = 0;
  for (const command of commands) if ((await run(command)) !== 0) failed += 1;
  return { passed: commands.length - failed, failed, skipped: 0 };
}

interface MochaOptions {
  readonly files: string;
  readonly node?: string;
  readonly style?: 'spec' | 'dot';
  readonly timeoutMillis?: number;
}

async function mocha({ run, grep, progress }: StepContext, options: MochaOptions): Promise<Counts> {
  const { files, node = process.execPath, style = 'spec', timeoutMillis = 5_000 } = options;
  const paths = globSync(files, { cwd: repositoryRoot }).sort();
  if (paths.length === 0) {
    progress(`no file matches ${files}`);
    return { passed: 0, failed: 1, skipped: 0 };
  }
  const folder = mkdtempSync(join(tmpdir(), 'msi-proxy-test-'));
  try {
    const countsFile = join(folder, 'counts.json');
    const exitCode = await run([
      node,
      '--conditions=@msi-proxy/source',
      '--disable-warning=ExperimentalWarning',
      'node_modules/mocha/bin/mocha.js',
      '--no-config',
      '--forbid-only',
      '--timeout',
      String(timeoutMillis),
      '--reporter',
      join(repositoryRoot, 'scripts/lib/mocha-reporter.mjs'),
      '--reporter-option',
      `style=${style},counts=${countsFile}`,
      ...(grep === undefined ? [] : ['--grep', grep]),
      ...paths,
    ]);
    return readCounts(countsFile, exitCode);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A run that ends badly without a failed test (a file that cannot be loaded, a hook) counts as one failure. */
function readCounts(file: string, exitCode: number): Counts {
  let counts: Counts;
  try {
    counts = JSON.parse(readFileSync(file, 'utf8')) as Counts;
  } catch {
    counts = { passed: 0, failed: 0, skipped: 0 };
  }
  return exitCode !== 0 && counts.failed === 0 ? { ...counts, failed: 1 } : counts;
}

const STEP_TIMEOUT_MILLIS = 70 * 60_000;

/** Runs a program in the root of the repository, without standard input. */
export function runInherited(argv: Argv, onStart: (child: ChildProcess) => void): Promise<number> {
  const [file, ...args] = argv;
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, {
      cwd: repositoryRoot,
      stdio: ['ignore', 'inherit', 'inherit'],
      timeout: STEP_TIMEOUT_MILLIS,
    });
    onStart(child);
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      if (signal !== null) console.error(`${file} was ended by ${signal}`);
      resolve(code ?? 1);
    });
  });
}
