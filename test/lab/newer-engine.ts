import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { cached, fingerprint } from './cache.ts';
import { debianTar } from './root-filesystem.ts';
import { mustRun, runCommand } from './run-command.ts';

/** The newest engine that Debian has, and that still runs on the libraries of the Debian that tests run on. */
const SUITE = 'forky';
const PACKAGES = ['docker.io', 'containerd'];
const TIMEOUT_MILLIS = 10 * 60_000;

export interface NewerEngine {
  /** Folder of its programs, for an engine's `programs`. */
  readonly programs: string;
  /** As it says itself. */
  readonly version: string;
}

/**
 * The programs of an engine that is newer than this machine's, in the cache. Nothing is installed.
 *
 * @throws {Error} where the packages cannot be had, or do not run here
 */
export async function newerEngine(progress: (text: string) => void): Promise<NewerEngine> {
  const base = await debianTar(progress);
  const folder = await cached({
    kind: 'newer-engine',
    key: fingerprint(SUITE, ...PACKAGES),
    make: async path => {
      progress(`Getting the Docker engine of Debian ${SUITE} (once)`);
      const root = `${path}-root`;
      try {
        await mkdir(root);
        await mustRun(['tar', '-xf', base, '-C', root]);
        await mkdir(join(root, 'var/lib/apt/lists'), { recursive: true });
        await mustRun([
          'sed',
          '--in-place',
          `s/ [a-z]* main/ ${SUITE} main/`,
          join(root, 'etc/apt/sources.list'),
        ]);
        await download(root);
        await mkdir(path);
        for (const deb of (await mustRun(['find', join(root, 'debs'), '-name', '*.deb'])).split('\n'))
          await mustRun(['dpkg-deb', '--extract', deb, join(root, 'unpacked')]);
        for (const bin of ['bin', 'sbin'])
          await mustRun(['cp', '--archive', `${join(root, 'unpacked/usr', bin)}/.`, path]);
      } finally {
        await rm(root, { recursive: true, force: true });
      }
    },
  });
  const { stdout, stderr, exitCode } = await runCommand([join(folder, 'dockerd'), '--version']);
  if (exitCode !== 0) throw new Error(`the engine of Debian ${SUITE} does not run here: ${stderr}`);
  return { programs: folder, version: /version ([\d.]+)/.exec(stdout)?.[1] ?? stdout };
}

async function download(root: string): Promise<void> {
  const options = { timeoutMillis: TIMEOUT_MILLIS };
  // A mirror may be some weeks behind; its signature is checked all the same.
  await mustRun(
    ['chroot', root, 'apt-get', '--option', 'Acquire::Check-Valid-Until=false', 'update'],
    options,
  );
  const command = 'mkdir /debs && cd /debs && apt-get download "$@"';
  await mustRun(['chroot', root, 'sh', '-c', command, 'sh', ...PACKAGES], options);
}
