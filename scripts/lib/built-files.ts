import { globSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { basename, dirname, join, relative, sep } from 'node:path';
import { PROGRAMS, type ProgramName } from './bundle.ts';
import { NOTICES_NAME } from './notices.ts';
import { repositoryRoot } from './repository.ts';

/** The packages of this repository. */
export const PACKAGES = ['shared', 'proxy', 'monitor', 'imds-emulator'].map(name => `packages/${name}`);

/** Made of the page's sources, which are not compiled one by one. */
export const PAGE_ASSETS = 'packages/monitor/dist/page/assets.js';

const SBOM = 'dist/sbom.cdx.json';

/** How a build differs from what it should be. Paths from the package's folder. */
export interface BuildDifference {
  readonly missing: readonly string[];
  /** Left by modules that are not there any more, which would be published. */
  readonly stale: readonly string[];
}

/** Where the program is bundled to, from the root of the repository. */
export function bundleFile(program: ProgramName): string {
  return `${packageOf(program)}/dist/bundle/${program}.mjs`;
}

export function noticesFile(program: ProgramName): string {
  return `${packageOf(program)}/dist/bundle/${NOTICES_NAME}`;
}

export function sbomFile(folder: string): string {
  return `${folder}/${SBOM}`;
}

/** All that `npm run build` makes in a package: what its sources are compiled to, its bundle and lists of contents. */
export function builtFiles(folder: string): string[] {
  const bundles = (Object.keys(PROGRAMS) as ProgramName[]).flatMap(name => [
    bundleFile(name),
    noticesFile(name),
  ]);
  const others = [...bundles, PAGE_ASSETS].filter(file => file.startsWith(`${folder}/`));
  return [
    ...compiledFiles(join(repositoryRoot, folder)),
    ...others.map(file => file.slice(folder.length + 1)),
    SBOM,
  ];
}

/** What TypeScript makes of the sources of a package. */
export function compiledFiles(packageFolder: string): string[] {
  const { exclude = [] } = JSON.parse(readFileSync(join(packageFolder, 'tsconfig.json'), 'utf8')) as {
    exclude?: readonly string[];
  };
  return globSync('src/**/*.ts', { cwd: packageFolder })
    .map(path => path.split(sep).join('/'))
    .filter(path => !path.endsWith('.d.ts') && !exclude.some(folder => path.startsWith(`${folder}/`)))
    .flatMap(path => {
      const module = path.replace(/^src\//, 'dist/').replace(/\.ts$/, '');
      return ['.js', '.js.map', '.d.ts', '.d.ts.map'].map(ending => module + ending);
    });
}

/** Compares what is in `dist` with what should be there. */
export function buildDifference(packageFolder: string, expected: readonly string[]): BuildDifference {
  const found = new Set(filesOfDist(packageFolder));
  return {
    missing: expected.filter(file => !found.has(file)),
    stale: [...found].filter(file => !expected.includes(file)),
  };
}

/**
 * Takes out of `dist` what the build did not make. Not all of it before the build: programs may be running from it.
 *
 * @throws {Error} when something is missing
 */
export function completeBuild(packageFolder: string, expected: readonly string[]): void {
  const { missing, stale } = buildDifference(packageFolder, expected);
  for (const file of stale) rmSync(join(packageFolder, file));
  if (missing.length > 0) {
    throw new Error(`${packageFolder} lacks ${missing.join(', ')}: remove its dist folder and build again`);
  }
}

/** Without what TypeScript remembers of its last run, which is not published. */
function filesOfDist(packageFolder: string): string[] {
  const dist = join(packageFolder, 'dist');
  return readdirSync(dist, { recursive: true, withFileTypes: true })
    .filter(entry => !entry.isDirectory() && !basename(entry.name).startsWith('.tsbuildinfo'))
    .map(entry => relative(packageFolder, join(entry.parentPath, entry.name)).split(sep).join('/'));
}

function packageOf(program: ProgramName): string {
  return dirname(dirname(PROGRAMS[program]));
}
