// npm run build: compiles the packages, bundles each program into one file, and lists what each package is made of.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { mustRun } from '../test/lab/index.ts';
import { buildPage } from '../packages/monitor/build/page-assets.ts';
import { bundleProgram, pageModule, PROGRAMS, type ProgramName } from './lib/bundle.ts';
import { repositoryRoot } from './lib/repository.ts';
import { runMain } from './lib/run-main.ts';
import { readLockFile, sbomOf } from './lib/sbom.ts';

const PACKAGES = ['shared', 'proxy', 'monitor', 'imds-emulator'].map(name => `packages/${name}`);

await runMain(async () => {
  await mustRun(['tsc', '--build'], { cwd: repositoryRoot, timeoutMillis: 10 * 60_000 });
  const page = join(repositoryRoot, 'packages/monitor/dist/page/assets.js');
  writeFileSync(page, pageModule((await buildPage()).assets));
  console.log(page);
  for (const [name, entry] of Object.entries(PROGRAMS) as [ProgramName, string][]) {
    const outfile = join(repositoryRoot, entry, '..', '..', 'dist', 'bundle', `${name}.mjs`);
    await bundleProgram(name, outfile);
    console.log(outfile);
  }
  const lockFile = readLockFile();
  for (const folder of PACKAGES) {
    const file = join(repositoryRoot, folder, 'dist', 'sbom.cdx.json');
    writeFileSync(file, `${JSON.stringify(sbomOf(folder, lockFile), undefined, 2)}\n`);
    console.log(file);
  }
});
