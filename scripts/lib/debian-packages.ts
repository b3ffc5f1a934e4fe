import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { mustRun } from '../../test/lab/index.ts';
import { withoutStartingServices } from './service-policy.ts';

/** The Debian packages that the lab is made of, by a command of theirs that it needs. */
const PACKAGE_OF_COMMAND: Readonly<Record<string, string>> = {
  dockerd: 'docker.io',
  docker: 'docker.io',
  containerd: 'containerd',
  nft: 'nftables',
  iptables: 'iptables',
  conntrack: 'conntrack',
  ip: 'iproute2',
  nsenter: 'util-linux',
  debootstrap: 'debootstrap',
  ps: 'procps',
  curl: 'curl',
  tar: 'tar',
  'docker-compose': 'docker-compose',
  // In which the monitor's page is tested.
  chromium: 'chromium',
};

/** What tests examine shipped files with. They are skipped, and say so, where it is missing. */
const PACKAGE_OF_CHECK_COMMAND: Readonly<Record<string, string>> = {
  prometheus: 'prometheus',
  promtool: 'prometheus',
  'systemd-analyze': 'systemd',
  'docker-compose': 'docker-compose',
};

/** What `npm run bench` compares the product with, and measures with. */
const PACKAGE_OF_BENCH_COMMAND: Readonly<Record<string, string>> = {
  wrk: 'wrk',
  nginx: 'nginx-light',
  haproxy: 'haproxy',
  taskset: 'util-linux',
  // What the monitor keeps the rules of a VM with.
  nft: 'nftables',
  iptables: 'iptables',
  ip: 'iproute2',
};

const CA_CERTIFICATES = '/etc/ssl/certs/ca-certificates.crt';

/** Why the lab cannot run on this machine; `undefined` when it can. */
export function labObstacle(): string | undefined {
  if (process.platform !== 'linux') return `it needs Linux, and this is ${process.platform}`;
  if (process.getuid?.() !== 0)
    return 'it needs root, to make network namespaces and run a private Docker engine';
  if (missingPackages().length > 0 && !isDebian()) {
    return `it needs ${missingCommands(PACKAGE_OF_COMMAND).join(', ')}, which it can install by itself only on Debian`;
  }
  return undefined;
}

/** Why the benchmarks cannot run on this machine; `undefined` when they can. */
export function benchObstacle(): string | undefined {
  if (process.platform !== 'linux') return `they need Linux, and this is ${process.platform}`;
  const missing = missingCommands(PACKAGE_OF_BENCH_COMMAND);
  if (missing.length > 0 && (!isDebian() || process.getuid?.() !== 0)) {
    return `they need ${missing.join(', ')}, which they can install by themselves only as root on Debian`;
  }
  return undefined;
}

/** Installs what the lab needs and this machine lacks. Check {@link labObstacle} first. */
export async function installLabPackages(progress: (text: string) => void): Promise<void> {
  await installPackages(PACKAGE_OF_COMMAND, missingPackages(), progress);
}

/** Installs what the benchmarks need and this machine lacks. Check {@link benchObstacle} first. */
export async function installBenchPackages(progress: (text: string) => void): Promise<void> {
  const packages = missingCommands(PACKAGE_OF_BENCH_COMMAND).map(
    command => PACKAGE_OF_BENCH_COMMAND[command]!,
  );
  await installPackages(PACKAGE_OF_BENCH_COMMAND, packages, progress);
}

/** Installs what tests examine shipped files with, where that is possible; elsewhere those tests are skipped. */
export async function installCheckPackages(progress: (text: string) => void): Promise<void> {
  if (!isDebian() || process.getuid?.() !== 0) return;
  const packages = missingCommands(PACKAGE_OF_CHECK_COMMAND).map(
    command => PACKAGE_OF_CHECK_COMMAND[command]!,
  );
  await installPackages(PACKAGE_OF_CHECK_COMMAND, [...new Set(packages)], progress);
}

async function installPackages(
  packageOfCommand: Readonly<Record<string, string>>,
  packages: readonly string[],
  progress: (text: string) => void,
): Promise<void> {
  if (packages.length === 0) return;
  progress(`Installing Debian packages: ${packages.join(' ')}`);
  const options = { env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }, timeoutMillis: 10 * 60_000 };
  // The lists of a fresh machine are empty or old.
  await mustRun(['apt-get', 'update'], options);
  await withoutStartingServices(() =>
    // Another installation on the machine may be under way.
    mustRun(
      [
        'apt-get',
        'install',
        '--yes',
        '--no-install-recommends',
        '-o',
        'DPkg::Lock::Timeout=300',
        ...packages,
      ],
      options,
    ),
  );
  const stillMissing = missingCommands(packageOfCommand);
  if (stillMissing.length > 0)
    throw new Error(`installed ${packages.join(' ')}, but ${stillMissing.join(', ')} is still missing`);
}

function missingPackages(): string[] {
  const packages = missingCommands(PACKAGE_OF_COMMAND).map(command => PACKAGE_OF_COMMAND[command]!);
  if (!existsSync(CA_CERTIFICATES)) packages.push('ca-certificates');
  return [...new Set(packages)];
}

function missingCommands(packageOfCommand: Readonly<Record<string, string>>): string[] {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return Object.keys(packageOfCommand).filter(
    command => !folders.some(folder => existsSync(join(folder, command))),
  );
}

function isDebian(): boolean {
  return existsSync('/etc/debian_version') && existsSync('/usr/bin/apt-get');
}
