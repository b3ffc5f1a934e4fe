import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { mustRun, runCommand } from '../../test/lab/index.ts';
import { cacheDirectory } from '../../test/lab/cache.ts';

/** The other Nodes that are supported, besides the pinned one: the unit tests run on each. */
export const OTHER_NODE_VERSIONS = ['22.23.3', '26.10.0'] as const;

/**
 * Gives the path of a Node of this very version, installed from npm outside the tree if it is not there.
 *
 * @throws {Error} when npm cannot install it
 */
export async function nodeOfVersion(version: string, progress: (text: string) => void): Promise<string> {
  const folder = join(cacheDirectory, `node-${version}`);
  const binary = join(folder, 'node_modules', 'node', 'bin', 'node');
  if (await isVersion(binary, version)) return binary;
  progress(`Installing Node ${version} for the unit tests`);
  mkdirSync(folder, { recursive: true });
  // The binary comes with an install script, which npm runs only for packages named here.
  writeFileSync(
    join(folder, 'package.json'),
    JSON.stringify({ private: true, allowScripts: { node: true } }),
  );
  const install = ['npm', 'install', '--save-exact', '--no-audit', '--no-fund', `node@${version}`] as const;
  await mustRun(install, { cwd: folder, timeoutMillis: 5 * 60_000 });
  if (!(await isVersion(binary, version))) {
    throw new Error(`"${install.join(' ')}" in ${folder} left no node ${version} at ${binary}`);
  }
  return binary;
}

async function isVersion(binary: string, version: string): Promise<boolean> {
  const { stdout } = await runCommand([binary, '--version']).catch(() => ({ stdout: '' }));
  return stdout.trim() === `v${version}`;
}
