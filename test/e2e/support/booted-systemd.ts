import { dirname, join } from 'node:path';
import { writeFile } from 'node:fs/promises';
import { repositoryRoot } from '../../../scripts/lib/repository.ts';
import { debianSystemdTar } from '../../lab/root-filesystem.ts';
import { waitUntil, type CommandOutput, type SimulatedVm } from '../../lab/index.ts';

const CONTAINER = 'systemd';
const IMAGE = 'msi-proxy-lab/systemd';
const UNITS = join(repositoryRoot, 'deploy/systemd');

/**
 * systemd, booted in a container on the network of the VM: for the units that are shipped it is the VM. It has the
 * monitor's program where docs/systemd.md puts it, Node, and Docker's client.
 */
export class BootedSystemd {
  readonly #vm: SimulatedVm;

  private constructor(vm: SimulatedVm) {
    this.#vm = vm;
  }

  static async start(vm: SimulatedVm): Promise<BootedSystemd> {
    const systemd = new BootedSystemd(vm);
    const tar = await debianSystemdTar(text => console.log(`    ${text}`));
    await vm.docker('import', tar, IMAGE);
    await vm.docker(
      ...['create', '--name', CONTAINER, '--network', 'host', '--cgroupns', 'host'],
      // To mount, to filter system calls, to set packet rules: what the real one has.
      ...['SYS_ADMIN', 'SYS_PTRACE', 'NET_ADMIN'].flatMap(capability => ['--cap-add', capability]),
      ...['seccomp', 'apparmor'].flatMap(profile => ['--security-opt', `${profile}=unconfined`]),
      ...['--tmpfs', '/run', '--tmpfs', '/run/lock', '--volume', '/sys/fs/cgroup:/sys/fs/cgroup'],
      ...['--volume', `${dirname(vm.engine.socketPath)}:/run/docker`],
      ...[IMAGE, '/lib/systemd/systemd'],
    );
    await vm.docker('create', '--name', 'program', 'msi-proxy/monitor');
    const program = join(vm.directory, 'msi-monitor');
    await vm.docker('cp', 'program:/usr/local/lib/msi-proxy/msi-monitor.mjs', program);
    await systemd.#put(program, '/usr/local/bin/msi-monitor');
    await systemd.#put(process.execPath, '/usr/local/bin/node');
    await systemd.#put('/usr/bin/docker', '/usr/bin/docker');
    await systemd.configure('msi-proxy', {});
    await systemd.configure('msi-monitor', {});
    for (const unit of ['msi-monitor.service', 'msi-proxy.service']) {
      await systemd.#put(join(UNITS, unit), `/etc/systemd/system/${unit}`);
    }
    await vm.docker('start', CONTAINER);
    await waitUntil(async () => (await systemd.control('list-units')).exitCode === 0, {
      what: 'systemd to take orders',
      timeoutMillis: 30_000,
    });
    return systemd;
  }

  /** Sets what /etc/default has for a unit. */
  async configure(unit: string, environment: Readonly<Record<string, string>>): Promise<void> {
    const all = { DOCKER_HOST: 'unix:///run/docker/docker.sock', ...environment };
    const lines = Object.entries(all).map(([name, value]) => `${name}=${value}\n`);
    await this.#write(`/etc/default/${unit}`, lines.join(''));
  }

  /** Adds a drop-in to a unit. */
  async extend(unit: string, text: string): Promise<void> {
    await this.run(['mkdir', '--parents', `/etc/systemd/system/${unit}.service.d`]);
    await this.#write(`/etc/systemd/system/${unit}.service.d/test.conf`, text);
    await this.control('daemon-reload');
  }

  /** systemctl; the exit code is the caller's business. */
  async control(...args: string[]): Promise<CommandOutput> {
    return await this.run(['systemctl', ...args]);
  }

  async property(unit: string, name: string): Promise<string> {
    return (await this.control('show', '--property', name, '--value', unit)).stdout.trim();
  }

  async journal(unit: string): Promise<string> {
    return (await this.run(['journalctl', '--no-pager', '--output', 'cat', '--unit', unit])).stdout;
  }

  async run(argv: readonly string[]): Promise<CommandOutput> {
    return await this.#vm.engine.run(['exec', CONTAINER, ...argv]);
  }

  async #write(path: string, text: string): Promise<void> {
    const file = join(this.#vm.directory, 'for-systemd');
    await writeFile(file, text);
    await this.#put(file, path);
  }

  async #put(from: string, to: string): Promise<void> {
    await this.#vm.docker('cp', from, `${CONTAINER}:${to}`);
  }
}
