// Run by npm before it packs a package, in the package's folder: refuses a `dist` that is not what `npm run build` makes.
import { relative, sep } from 'node:path';
import { buildDifference, builtFiles } from './lib/built-files.ts';
import { repositoryRoot } from './lib/repository.ts';
import { runMain } from './lib/run-main.ts';

await runMain(() => {
  const folder = relative(repositoryRoot, process.cwd()).split(sep).join('/');
  const { missing, stale } = buildDifference(process.cwd(), builtFiles(folder));
  const problems = [
    ...missing.map(file => `lacks ${file}`),
    ...stale.map(file => `has ${file} of no source`),
  ];
  if (problems.length > 0) throw new Error(`${folder} ${problems.join(', ')}: run npm run build first`);
  return Promise.resolve();
});
