/**
 * What becomes of an app definition on an agent: Marathon makes a task of it, and the Docker containerizer of Mesos a
 * `docker run`. Written from apache/mesos `src/docker/docker.cpp` (`RunOptions::create`, `Docker::run`),
 * `src/checks/checker_process.cpp` (`dockerCommandCheck`) and mesosphere/marathon `TaskBuilder.scala`.
 */
import { type HostVolume, type MarathonApp } from './definitions.ts';

export interface Agent {
  readonly os: 'linux' | 'windows';
  /** Where Mesos keeps the task's files on the agent. */
  readonly sandbox: string;
  readonly hostname: string;
}

export interface Task {
  readonly app: MarathonApp;
  readonly agent: Agent;
  /** Of the container, a UUID. */
  readonly containerId: string;
}

const MEBIBYTE = 1024 * 1024;
/** Source: `src/slave/containerizer/mesos/isolators/cgroups/constants.hpp`. */
const CPU_SHARES_PER_CPU = 1024;
const MIN_CPU_SHARES = 2;
const MIN_MEMORY_MEBIBYTES = 32;

/** Where the sandbox appears in the container (`--sandbox_directory` of the agent), and the shell of `cmd`. */
const PLATFORM = {
  linux: {
    mappedSandbox: '/mnt/mesos/sandbox',
    bridge: 'bridge',
    commandLine: ['sh', '-c'],
    entrypoint: '/bin/sh',
  },
  windows: {
    mappedSandbox: 'C:\\mesos\\sandbox',
    bridge: 'nat',
    commandLine: ['cmd.exe', '/c'],
    entrypoint: 'cmd',
  },
} as const;

export function containerName({ containerId }: Task): string {
  return `mesos-${containerId}`;
}

/** The arguments that the agent gives to `docker -H <socket>`. */
export function dockerRunArguments(task: Task): string[] {
  const { app, agent } = task;
  const { docker, volumes = [] } = app.container;
  const { mappedSandbox } = PLATFORM[agent.os];
  return [
    'run',
    ...(docker.privileged === true ? ['--privileged'] : []),
    '--cpu-shares',
    String(Math.max(Math.trunc(CPU_SHARES_PER_CPU * app.cpus), MIN_CPU_SHARES)),
    '--memory',
    String(Math.max(app.mem, MIN_MEMORY_MEBIBYTES) * MEBIBYTE),
    ...Object.entries(environment(task))
      .sort(([left], [right]) => (left < right ? -1 : 1))
      .flatMap(([name, value]) => ['-e', `${name}=${value}`]),
    ...[...volumes.map(volumeArgument), `${agent.sandbox}:${mappedSandbox}`].flatMap(volume => [
      '-v',
      volume,
    ]),
    '--net',
    network(task),
    ...(app.cmd === undefined ? [] : ['--entrypoint', PLATFORM[agent.os].entrypoint]),
    '--name',
    containerName(task),
    ...parameters(task).map(({ key, value }) => `--${key}=${value}`),
    docker.image,
    ...(app.cmd === undefined ? [] : [PLATFORM[agent.os].commandLine[1], app.cmd]),
    ...(app.args ?? []),
  ];
}

/** The arguments for the agent's check of the task's health, or none when it has no check by a command. */
export function healthCheckArguments(task: Task): string[] | undefined {
  const command = task.app.healthChecks?.find(({ protocol }) => protocol === 'COMMAND')?.command;
  if (command === undefined) return undefined;
  return ['exec', containerName(task), ...PLATFORM[task.agent.os].commandLine, command.value];
}

/** The arguments with which the agent ends a task. */
export function dockerStopArguments(task: Task): string[] {
  return ['stop', '-t', String(task.app.taskKillGracePeriodSeconds ?? 5), containerName(task)];
}

function taskId({ app, containerId }: Task): string {
  return `${app.id.slice(1).replaceAll('/', '_')}.${containerId}`;
}

/** Marathon adds its task id as a label, behind those of the definition. */
function parameters(task: Task): readonly { readonly key: string; readonly value: string }[] {
  return [
    ...(task.app.container.docker.parameters ?? []),
    { key: 'label', value: `MESOS_TASK_ID=${taskId(task)}` },
  ];
}

function environment(task: Task): Record<string, string> {
  const { app, agent } = task;
  return {
    MESOS_TASK_ID: taskId(task),
    MARATHON_APP_ID: app.id,
    MARATHON_APP_VERSION: '2026-01-01T00:00:00.000Z',
    MARATHON_APP_DOCKER_IMAGE: app.container.docker.image,
    MARATHON_APP_RESOURCE_CPUS: String(app.cpus),
    MARATHON_APP_RESOURCE_MEM: app.mem.toFixed(1),
    MARATHON_APP_RESOURCE_DISK: '0.0',
    MARATHON_APP_RESOURCE_GPUS: '0',
    MARATHON_APP_LABELS: Object.keys(app.labels ?? {}).join(' '),
    HOST: agent.hostname,
    ...app.env,
    MESOS_SANDBOX: PLATFORM[agent.os].mappedSandbox,
    MESOS_CONTAINER_NAME: containerName(task),
    MESOS_ALLOCATION_ROLE: '*',
  };
}

function volumeArgument({ hostPath, containerPath, mode }: HostVolume): string {
  return `${hostPath}:${containerPath}:${mode.toLowerCase()}`;
}

function network({ app, agent }: Task): string {
  const [first = { mode: 'host' }] = app.networks ?? [];
  switch (first.mode) {
    case 'container/bridge':
      return PLATFORM[agent.os].bridge;
    case 'container':
      if (first.name === undefined) throw new Error(`${app.id}: a container network without a name`);
      return first.name;
    default:
      if (agent.os === 'windows') throw new Error(`${app.id}: Mesos refuses host networking on Windows`);
      return 'host';
  }
}
