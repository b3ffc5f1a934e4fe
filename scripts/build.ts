// npm run build: compiles the packages, bundles each program into one file, and lists what each package is made of.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { mustRun } from '../test/lab/index.ts';
import { buildPage } from '../packages/monitor/build/page-assets.ts';
import {
  builtFiles,
  bundleFile,
  completeBuild,
  noticesFile,
  PACKAGES,
  PAGE_ASSETS,
  sbomFile,
} from './lib/built-files.ts';
import { bundleProgram, pageModule, PROGRAMS, type ProgramName } from './lib/bundle.ts';
import { noticesOf } from './lib/notices.ts';
import { repositoryRoot } from './lib/repository.ts';
import { runMain } from './lib/run-main.ts';
import { readLockFile, sbomOf } from './lib/sbom.ts';

await runMain(async () => {
  await mustRun(['tsc', '--build'], { cwd: repositoryRoot, timeoutMillis: 10 * 60_000 });
  write(PAGE_ASSETS, pageModule((await buildPage()).assets));
  for (const name of Object.keys(PROGRAMS) as ProgramName[]) {
    const outfile = join(repositoryRoot, bundleFile(name));
    const files = await bundleProgram(name, outfile);
    console.log(outfile);
    write(noticesFile(name), noticesOf(files));
  }
  const lockFile = readLockFile();
  for (const folder of PACKAGES) {
    write(sbomFile(folder), `${JSON.stringify(sbomOf(folder, lockFile), undefined, 2)}\n`);
    completeBuild(join(repositoryRoot, folder), builtFiles(folder));
  }
});

function write(path: string, text: string): void {
  const file = join(repositoryRoot, path);
  writeFileSync(file, text);
  console.log(file);
}
