// Runs a script of this repository with the pinned Node, after installing what is missing. This file itself runs on
// any Node from 20 on and without dependencies: it is the first thing that runs in a fresh clone.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const pinnedNode = join(
  root,
  'node_modules',
  'node',
  'bin',
  process.platform === 'win32' ? 'node.exe' : 'node',
);
const pinnedVersion = readJson('package.json').devDependencies.node;

const [script, ...scriptArguments] = process.argv.slice(2);
if (script === undefined) fail('usage: node scripts/with-setup.mjs <script> [arguments]');

if (!dependenciesAreCurrent()) {
  console.error('Installing the dependencies (npm ci) …');
  npm('ci');
}
if (nodeVersion() !== pinnedVersion) {
  // npm can be set up not to run install scripts; the binary comes with one.
  npm('rebuild', 'node');
  const version = nodeVersion();
  if (version !== pinnedVersion) {
    fail(
      `node_modules/node/bin/node is ${version ?? 'missing'}, expected ${pinnedVersion}: ` +
        'allow the install script of the package "node" and run "npm ci" again',
    );
  }
}
run();

/** Whether node_modules holds the very versions of the lock file; times of files say nothing after a checkout. */
function dependenciesAreCurrent() {
  const installedLock = join('node_modules', '.package-lock.json');
  if (!existsSync(join(root, installedLock))) return false;
  const installed = readJson(installedLock).packages;
  return Object.entries(readJson('package-lock.json').packages).every(
    ([path, entry]) =>
      // Packages of ours may have some of their own below them.
      !/(?:^|\/)node_modules\//.test(path) ||
      entry.optional === true ||
      entry.link === true ||
      // What npm writes down there leaves out those below packages of ours.
      (installed[path]?.version ?? versionAt(path)) === entry.version,
  );
}

function versionAt(path) {
  const manifest = join(path, 'package.json');
  return existsSync(join(root, manifest)) ? readJson(manifest).version : undefined;
}

function nodeVersion() {
  const { status, stdout } = spawnSync(pinnedNode, ['--version'], { encoding: 'utf8' });
  return status === 0 ? stdout.trim().replace(/^v/, '') : undefined;
}

function npm(...argv) {
  // npm says where it is to what it runs; without it (node scripts/with-setup.mjs …) it is found on PATH.
  const cli = process.env.npm_execpath;
  const [file, prefix] = cli?.endsWith('.js') ? [process.execPath, [cli]] : ['npm', []];
  const { status, error } = spawnSync(
    file,
    [...prefix, ...argv, '--no-audit', '--no-fund', '--loglevel=error'],
    {
      cwd: root,
      stdio: ['ignore', 2, 2],
    },
  );
  if (error !== undefined) fail(`cannot run npm: ${error.message}`);
  if (status !== 0) fail(`"npm ${argv.join(' ')}" failed with exit code ${status}`);
}

function run() {
  const path = [join(root, 'node_modules', '.bin'), process.env.PATH].join(delimiter);
  const child = spawn(
    pinnedNode,
    ['--conditions=@msi-proxy/source', join(root, script), ...scriptArguments],
    {
      cwd: root,
      stdio: 'inherit',
      env: { ...process.env, PATH: path },
    },
  );
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('error', error => fail(`cannot run ${pinnedNode}: ${error.message}`));
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}

function readJson(path) {
  return JSON.parse(readFileSync(join(root, path), 'utf8'));
}

function fail(message) {
  console.error(message);
  process.exit(1);
}
