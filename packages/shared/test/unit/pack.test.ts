import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const PACKAGE = fileURLToPath(new URL('../../', import.meta.url));
const MODULES = fileURLToPath(new URL('../../../../node_modules/', import.meta.url));
const TSC = join(MODULES, 'typescript/bin/tsc');

const TIMEOUT_MILLIS = 120_000;

// No options of this test run: the package has to work in a plain node.
async function run(file: string, argv: readonly string[], cwd: string): Promise<string> {
  const env = { ...process.env, NODE_OPTIONS: '' };
  try {
    const { stdout } = await promisify(execFile)(file, argv, { cwd, env, timeout: TIMEOUT_MILLIS });
    return stdout;
  } catch (error) {
    const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
    throw new Error(`${file} ${argv.join(' ')}\n${stdout}${stderr}`, { cause: error });
  }
}

// What it holds is looked at with the other packages: test/integration/release.
describe('the package as it is published', function () {
  this.timeout(TIMEOUT_MILLIS);
  let project: string;

  before(async () => {
    project = await mkdtemp(join(tmpdir(), 'msi-proxy-shared-'));
    await run(process.execPath, [TSC, '--build', PACKAGE], PACKAGE);
    // Scripts would look for all that a build makes.
    const pack = ['pack', '--json', '--ignore-scripts', '--pack-destination', project];
    const packed = await run('npm', pack, PACKAGE);
    const [archive] = JSON.parse(packed) as { filename: string }[];
    await writeFile(join(project, 'package.json'), '{"name":"consumer","private":true,"type":"module"}');
    const install = ['install', `./${archive!.filename}`, '--prefer-offline', '--no-audit', '--no-fund'];
    await run('npm', install, project);
  });
  after(() => rm(project, { recursive: true, force: true }));

  it('runs in a plain node, without doing anything when it is imported', async () => {
    const script = `
      const shared = await import('@msi-proxy/shared');
      const { FakeClock } = await import('@msi-proxy/shared/testing');
      const { policy } = shared.parseClientPolicy({ 'com.msi-proxy.identity': 'system' });
      process.stdout.write(JSON.stringify([policy.defaultIdentity, new FakeClock().monotonicMillis()]));
    `;
    const output = await run(process.execPath, ['--input-type=module', '--eval', script], project);
    assert.equal(output, '[{"kind":"system"},0]');
  });

  it('has types under which the code in its README is right, and that code runs', async () => {
    const readme = await readFile(join(PACKAGE, 'README.md'), 'utf8');
    const examples = [...readme.matchAll(/```ts\n(.*?)```/gs)].map(([, code = '']) => code);
    assert.ok(examples.length >= 3);
    for (const [index, code] of examples.entries()) {
      await writeFile(join(project, `example-${index}.ts`), code);
    }
    const compilerOptions = {
      module: 'nodenext',
      target: 'es2023',
      strict: true,
      exactOptionalPropertyTypes: true,
      noEmit: true,
      types: ['node'],
      typeRoots: [join(MODULES, '@types')],
    };
    await writeFile(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions }));
    await run(process.execPath, [TSC, '--project', project], project);

    const outputs = [];
    for (const index of examples.keys()) {
      outputs.push(await run(process.execPath, [`example-${index}.ts`], project));
    }
    assert.match(outputs.at(-1) ?? '', /"msg":"started".*"MY_TOOL_INTERVAL_MS":"10000"/);
  });

  it('has types that refuse what is wrong', async () => {
    const code = "import { parseClientPolicy } from '@msi-proxy/shared';\nparseClientPolicy({ label: 7 });\n";
    await writeFile(join(project, 'wrong.ts'), code);
    const check = run(process.execPath, [TSC, '--project', project], project);
    await assert.rejects(check, /wrong\.ts\(2,.*error TS2322/);
  });
});
