import { mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { cached, fingerprint } from './cache.ts';
import { mustRun } from './run-command.ts';

const SUITE = 'bookworm';

/** The tools that the images need, and that they find here instead of downloading them. */
const PACKAGES = ['iproute2', 'nftables', 'iptables', 'conntrack', 'curl', 'ca-certificates', 'procps'];

/** Debian's older Azure SDK for Python, and what the identity part of its newer one needs. */
const PYTHON_PACKAGES = [
  'python3-msrestazure',
  'python3-cryptography',
  'python3-msal',
  'python3-msal-extensions',
  'python3-requests',
  'python3-six',
  'python3-typing-extensions',
];
/** A service manager, and the bus by which one gives it orders. */
const SYSTEMD_PACKAGES = ['systemd', 'dbus'];
/** The rest of the newer SDK's 540 MB is left out. */
const PYTHON_SDK = 'usr/lib/python3/dist-packages/azure';
const PYTHON_SDK_PARTS = ['__init__.py', 'core', 'identity'];

const SUPERFLUOUS = [
  'usr/share/doc',
  'usr/share/man',
  'usr/share/info',
  'usr/share/locale',
  'usr/share/lintian',
  'var/cache/apt',
  'var/lib/apt/lists',
  'var/log',
];

const MAKING_TIMEOUT_MILLIS = 10 * 60_000;
const APT = {
  env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  timeoutMillis: MAKING_TIMEOUT_MILLIS,
};

/** Names the file systems: changes when what they are made from changes. */
export const rootFilesystemKey = fingerprint(
  SUITE,
  ...PACKAGES,
  ...PYTHON_PACKAGES,
  ...PYTHON_SDK_PARTS,
  ...SUPERFLUOUS,
);

/** A small Debian with the network tools, as a tar file in the cache. */
export async function debianTar(progress: (text: string) => void): Promise<string> {
  return await cached({
    kind: 'debian',
    key: rootFilesystemKey,
    make: async path => {
      progress('Making a small Debian for the images (debootstrap, about a minute, once)');
      await using folder = await temporaryFolder(path);
      const include = `--include=${PACKAGES.join(',')}`;
      await mustRun(['debootstrap', '--variant=minbase', include, SUITE, folder.path], {
        timeoutMillis: MAKING_TIMEOUT_MILLIS,
      });
      await packTar(folder.path, path);
    },
  });
}

/** The small Debian with Python and what Debian has of Azure's SDKs for identities, as a tar file in the cache. */
export async function debianPythonTar(progress: (text: string) => void): Promise<string> {
  const base = await debianTar(progress);
  return await cached({
    kind: 'debian-python',
    key: rootFilesystemKey,
    make: async path => {
      progress("Adding Debian's Azure SDK for Python (once)");
      await using folder = await temporaryFolder(path);
      await mustRun(['tar', '-xf', base, '-C', folder.path]);
      await installPythonSdk(folder.path);
      await packTar(folder.path, path);
    },
  });
}

/** The small Debian with systemd to boot it, as a tar file in the cache. */
export async function debianSystemdTar(progress: (text: string) => void): Promise<string> {
  const base = await debianTar(progress);
  return await cached({
    kind: 'debian-systemd',
    key: fingerprint(rootFilesystemKey, ...SYSTEMD_PACKAGES),
    make: async path => {
      progress('Making a Debian that boots with systemd (once)');
      await using folder = await temporaryFolder(path);
      await mustRun(['tar', '-xf', base, '-C', folder.path]);
      await installInto(folder.path, SYSTEMD_PACKAGES);
      await packTar(folder.path, path);
    },
  });
}

/** A file system with nothing but Node and the libraries that it loads: no shell, no network tool. */
export async function bareTar(nodeBinary: string, destination: string, debian: string): Promise<void> {
  await using folder = await temporaryFolder(destination);
  const full = join(folder.path, 'full');
  const bare = join(folder.path, 'bare');
  await mkdir(full);
  await mustRun(['tar', '-xf', debian, '-C', full]);
  await mustRun(['install', '-D', nodeBinary, join(full, 'usr/local/bin/node')]);
  const listed = await mustRun(['chroot', full, 'ldd', '/usr/local/bin/node']);
  const libraries = [...listed.matchAll(/(\/\S+) \(0x/g)].map(([, library]) => library!);
  for (const file of ['/usr/local/bin/node', ...libraries]) {
    await mustRun(['install', '-D', join(full, file), join(bare, file)]);
  }
  await mustRun(['tar', '-C', bare, '-cf', destination, '.']);
}

async function installInto(root: string, packages: readonly string[]): Promise<void> {
  await mkdir(join(root, 'var/log/apt'), { recursive: true });
  await mustRun(['chroot', root, 'apt-get', 'update'], APT);
  await mustRun(['chroot', root, 'apt-get', 'install', '--yes', '--no-install-recommends', ...packages], APT);
}

async function installPythonSdk(root: string): Promise<void> {
  await installInto(root, PYTHON_PACKAGES);
  const downloads = join(root, 'var/cache/apt');
  await mustRun(['chroot', root, 'sh', '-c', 'cd /var/cache/apt && apt-get download python3-azure'], APT);
  const sdk = await mustRun(['find', downloads, '-maxdepth', '1', '-name', 'python3-azure_*.deb']);
  const unpacked = join(downloads, 'sdk');
  await mustRun(['dpkg-deb', '--extract', sdk, unpacked], APT);
  await mkdir(join(root, PYTHON_SDK), { recursive: true });
  for (const name of PYTHON_SDK_PARTS) {
    await mustRun(['mv', join(unpacked, PYTHON_SDK, name), join(root, PYTHON_SDK, name)]);
  }
}

async function packTar(folder: string, destination: string): Promise<void> {
  for (const path of SUPERFLUOUS) await rm(join(folder, path), { recursive: true, force: true });
  await mustRun(['tar', '-C', folder, '-cf', destination, '.']);
}

async function temporaryFolder(beside: string): Promise<AsyncDisposable & { readonly path: string }> {
  const path = join(dirname(beside), `unfinished-${fingerprint(beside)}-root`);
  await rm(path, { recursive: true, force: true });
  await mkdir(path);
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}
