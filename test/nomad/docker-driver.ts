import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type NomadTask } from './job-files.ts';

const MEBIBYTE = 1024 * 1024;

export function containerName(task: NomadTask, allocationId: string): string {
  return `${task.name}-${allocationId}`;
}

/**
 * The `docker run` that means what Nomad's Docker driver asks the engine for. Written from hashicorp/nomad
 * `drivers/docker/driver.go` (`createContainerConfig`, `containerBinds`).
 *
 * @param directory of the task on the node; its files are written there, as Nomad's client does
 */
export function dockerRunArguments(task: NomadTask, allocationId: string, directory: string): string[] {
  const { config, env, resources, templates } = task;
  for (const folder of ['alloc', 'local', 'secrets']) mkdirSync(join(directory, folder), { recursive: true });
  for (const { destination, data } of templates) {
    mkdirSync(dirname(join(directory, destination)), { recursive: true });
    writeFileSync(join(directory, destination), data);
  }
  const each = (option: string, values: readonly string[] = []) => values.flatMap(value => [option, value]);
  const taskFolders = ['alloc', 'local', 'secrets'].map(folder => `${join(directory, folder)}:/${folder}`);
  const labels = { 'com.hashicorp.nomad.alloc_id': allocationId, ...config.labels };
  return [
    ...['run', '--detach', '--name', containerName(task, allocationId)],
    ...['--network', config.network_mode ?? 'bridge'],
    ...['--cpu-shares', String(resources.cpu), '--memory', String(resources.memory * MEBIBYTE)],
    ...each('--volume', [...taskFolders, ...(config.volumes ?? [])]),
    ...each(
      '--env',
      Object.entries({ NOMAD_TASK_DIR: '/local', ...env }).map(([name, value]) => `${name}=${value}`),
    ),
    ...each(
      '--label',
      Object.entries(labels).map(([name, value]) => `${name}=${value}`),
    ),
    ...each('--cap-drop', config.cap_drop),
    ...each('--cap-add', config.cap_add),
    ...each('--security-opt', config.security_opt),
    ...(config.readonly_rootfs === true ? ['--read-only'] : []),
    ...(config.pids_limit === undefined ? [] : ['--pids-limit', String(config.pids_limit)]),
    ...each(
      '--tmpfs',
      config.mount?.map(({ target }) => target),
    ),
    config.image,
    ...(config.command === undefined ? [] : [config.command]),
    ...(config.args ?? []),
  ];
}
