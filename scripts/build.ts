// npm run build: compiles the packages and bundles each program into one file.
import { join } from 'node:path';
import { mustRun } from '../test/lab/index.ts';
import { bundleProgram, PROGRAMS, type ProgramName } from './lib/bundle.ts';
import { repositoryRoot } from './lib/repository.ts';
import { runMain } from './lib/run-main.ts';

await runMain(async () => {
  await mustRun(['tsc', '--build'], { cwd: repositoryRoot, timeoutMillis: 10 * 60_000 });
  for (const [name, entry] of Object.entries(PROGRAMS) as [ProgramName, string][]) {
    const outfile = join(repositoryRoot, entry, '..', '..', 'dist', 'bundle', `${name}.mjs`);
    await bundleProgram(name, outfile);
    console.log(outfile);
  }
});
