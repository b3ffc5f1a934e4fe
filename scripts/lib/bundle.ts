import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import * as esbuild from 'esbuild';
import { buildPage } from '../../packages/monitor/build/page-assets.ts';
import type { PageAssets } from '../../packages/monitor/src/page/server/page-assets.ts';
import { repositoryRoot } from './repository.ts';

/** The programs of this repository, by the name of their command. */
export const PROGRAMS = {
  'msi-proxy': 'packages/proxy/src/main.ts',
  'msi-monitor': 'packages/monitor/src/main.ts',
  'imds-emulator': 'packages/imds-emulator/src/main.ts',
} as const;

export type ProgramName = keyof typeof PROGRAMS;

/** Parts of dependencies that the programs never reach and that would make half of a bundle. */
const LEFT_OUT: Readonly<Record<string, string>> = {
  ssh2: 'engines at ssh:// are not supported',
  '@grpc/grpc-js': 'BuildKit sessions are not supported',
  '@grpc/proto-loader': 'BuildKit sessions are not supported',
  'supports-color': 'nothing is coloured by debug',
  '@colors/colors/safe': 'the log is JSON',
};

/** What a dependency takes only if it happens to be there. */
const LEFT_OUT_FOR: Readonly<Record<string, string>> = { debug: 'follow-redirects' };

/** What a bundle was made of: files, from the root of the repository. */
export type BundledFiles = readonly string[];

/** Makes one executable file of a program and all that it imports. */
export async function bundleProgram(name: ProgramName, outfile: string): Promise<BundledFiles> {
  return await bundle(join(repositoryRoot, PROGRAMS[name]), outfile);
}

/** Makes one executable ES module of an entry file and all that it imports. */
export async function bundle(entryFile: string, outfile: string): Promise<BundledFiles> {
  const pageFiles: string[] = [];
  const { warnings, metafile } = await esbuild.build({
    absWorkingDir: repositoryRoot,
    metafile: true,
    entryPoints: [entryFile],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node22',
    conditions: ['@msi-proxy/source'],
    // CommonJS dependencies use what ES modules do not have.
    define: {
      __dirname: 'import.meta.dirname',
      __filename: 'import.meta.filename',
      // Some load more for developers.
      'process.env.NODE_ENV': '"production"',
    },
    banner: {
      js: [
        "import { createRequire as __createRequire } from 'node:module';",
        'const require = __createRequire(import.meta.url);',
      ].join('\n'),
    },
    plugins: [leaveOut(LEFT_OUT), requireHttp(), carryPage(pageFiles)],
    legalComments: 'none',
    logLevel: 'silent',
  });
  if (warnings.length > 0) {
    const messages = await esbuild.formatMessages(warnings, { kind: 'warning' });
    throw new Error(`bundling ${entryFile}:\n${messages.join('')}`);
  }
  await writeFile(outfile, inAscii(await readFile(outfile, 'utf8')));
  await chmod(outfile, 0o755);
  return [
    ...Object.keys(metafile.inputs).filter(path => !path.startsWith(`${PAGE_NAMESPACE}:`)),
    ...pageFiles.map(path => relative(repositoryRoot, path)),
  ];
}

/**
 * One character beyond ASCII makes V8 keep the whole text of a program with two bytes for each. esbuild escapes them in
 * strings, and leaves them in comments and regular expressions, where the same escapes do.
 */
function inAscii(program: string): string {
  return program.replace(/[^\x00-\x7f]/g, unit => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

const PAGE_NAMESPACE = 'built-page';

/**
 * Puts the status page into the program that imports it, as texts.
 *
 * @param files gets what the page was made of
 */
function carryPage(files: string[]): esbuild.Plugin {
  return {
    name: 'carry-page',
    setup(build) {
      build.onResolve({ filter: /^#page-assets$/ }, ({ path }) => ({ path, namespace: PAGE_NAMESPACE }));
      build.onLoad({ filter: /.*/, namespace: PAGE_NAMESPACE }, async () => {
        const page = await buildPage();
        files.push(...page.files);
        return { contents: pageModule(page.assets) };
      });
    },
  };
}

/** The module `#page-assets` with a page that is built. */
export function pageModule(assets: PageAssets): string {
  return `const assets = ${JSON.stringify(assets)};\nexport const pageAssets = () => Promise.resolve(assets);\n`;
}

/** Replaces modules by ones whose functions throw when called. */
function leaveOut(reasons: Readonly<Record<string, string>>): esbuild.Plugin {
  return {
    name: 'leave-out',
    setup(build) {
      build.onResolve({ filter: /^[@a-z]/ }, ({ path, importer }) => {
        const taker = Object.hasOwn(LEFT_OUT_FOR, path) ? LEFT_OUT_FOR[path] : undefined;
        const isLeftOut =
          Object.hasOwn(reasons, path) ||
          (taker !== undefined && importer.includes(`/node_modules/${taker}/`));
        return isLeftOut ? { path, namespace: 'left-out' } : undefined;
      });
      build.onLoad({ filter: /.*/, namespace: 'left-out' }, ({ path }) => ({
        contents: `const refuse = function () { throw new Error(${JSON.stringify(reasons[path] ?? 'it is not part of this program')}); };
          module.exports = new Proxy({}, { get: () => refuse });`,
      }));
    },
  };
}

/**
 * Takes `node:http` by `require`. An `import` of it reads every export, one of which is a WebSocket, for which Node loads
 * its whole HTTP client: half of the time that a program takes to start.
 */
function requireHttp(): esbuild.Plugin {
  const namespace = 'by-require';
  return {
    name: 'require-http',
    setup(build) {
      build.onResolve({ filter: /^node:http$/ }, ({ path, importer }) =>
        importer === path ? { path, external: true } : { path, namespace },
      );
      build.onLoad({ filter: /.*/, namespace }, ({ path }) => ({
        contents: `module.exports = require(${JSON.stringify(path)});`,
      }));
    },
  };
}
