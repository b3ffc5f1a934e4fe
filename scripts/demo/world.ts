import {
  BASE_IMAGE,
  monitorContainer,
  preparedEngineData,
  PROXY_NETWORK,
  runArguments,
  runCommand,
  SimulatedVm,
  waitUntil,
  type ContainerOptions,
  type Docker,
  type DockerRun,
} from '../../test/lab/index.ts';
import { installLabPackages } from '../lib/debian-packages.ts';
import { dockerClient } from '../lib/docker-client.ts';
import { IMAGES, NODE_CLIENT_IMAGE } from '../lib/image-builder.ts';
import { DEMO_LABEL, DEMO_TAG, NAMES } from './names.ts';
import { refuseUsedEngine } from './used-engine.ts';

export const DEMO_IMAGES = [...Object.values(IMAGES), NODE_CLIENT_IMAGE];

/** What the Dockerfiles are based on by themselves. */
const PUBLIC_BASE_IMAGE = 'node:24-bookworm-slim';

/** Where the demo runs: an engine, and something that answers as IMDS for it. */
export interface World extends AsyncDisposable {
  /** What it is, for the reader. */
  readonly description: string;
  readonly docker: Docker;
  readonly run: DockerRun;
  /** What images are built on; the Dockerfiles' own choice when absent. */
  readonly baseImage?: string;
  /** Starts what has to be there before the proxy, once the images are built. */
  readonly startUpstream: () => Promise<void>;
  /** How the proxy finds IMDS where that is not at its own address. */
  readonly proxyEnvironment: () => Readonly<Record<string, string>>;
  readonly monitor: (options: ContainerOptions) => ContainerOptions;
  /** Leaves everything running. Gives back what to set to look around, and how to remove it. */
  readonly keep: () => { readonly environment: string; readonly removal: readonly string[] };
  readonly [Symbol.asyncDispose]: () => Promise<void>;
}

/** A simulated Azure VM with a private engine; IMDS is the emulator at the real address. */
export async function labWorld(progress: (text: string) => void): Promise<World> {
  await installLabPackages(progress);
  const preparedData = await preparedEngineData(progress);
  const vm = await SimulatedVm.start({ preparedData });
  const docker: Docker = args => vm.engine.docker(args);
  const version = await docker(['version', '--format', '{{.Server.Version}}']);
  return {
    description: `private Docker ${version} in a simulated Azure VM, IMDS emulated at its real address`,
    docker,
    run: args => vm.engine.run(args),
    baseImage: BASE_IMAGE,
    startUpstream: async () => {},
    proxyEnvironment: () => ({}),
    monitor: options => monitorContainer(options, vm.engine.socketPath),
    keep: () => {
      vm.keep();
      return { environment: `export DOCKER_HOST=${vm.engine.host}`, removal: ['npm run lab:clean'] };
    },
    [Symbol.asyncDispose]: () => vm[Symbol.asyncDispose](),
  };
}

/** The engine of DOCKER_HOST; IMDS is a container of the emulator. */
export async function engineWorld(): Promise<World> {
  const docker = await dockerClient();
  const run: DockerRun = args => runCommand(['docker', ...args]);
  const [version = '', os = ''] = (
    await docker(['version', '--format', '{{.Server.Version}} {{.Server.Os}}'])
  ).split(' ');
  if (os !== 'linux')
    throw new Error(`the engine at DOCKER_HOST runs ${os} containers; the demo needs Linux ones`);
  if ((await containersOfDemo(docker)).length > 0) {
    throw new Error(
      `an earlier demo is still there: docker rm --force $(docker ps -aq --filter label=${DEMO_LABEL})`,
    );
  }
  await refuseUsedEngine(docker);
  const hadBase = (await run(['image', 'inspect', PUBLIC_BASE_IMAGE])).exitCode === 0;
  const hadNetwork = (await run(['network', 'inspect', PROXY_NETWORK])).exitCode === 0;
  let kept = false;
  let upstream = '';
  return {
    description: `Docker ${version} at ${process.env['DOCKER_HOST'] ?? ''}, IMDS emulated in a container (until the end, its other containers get no metadata)`,
    docker,
    run,
    startUpstream: async () => {
      if (!hadNetwork) await docker(['network', 'create', PROXY_NETWORK]);
      const emulator = NAMES.emulator;
      const image = `${IMAGES['imds-emulator'].repository}:${DEMO_TAG}`;
      await docker(
        runArguments({ name: emulator, image, network: PROXY_NETWORK, labels: { [DEMO_LABEL]: '' } }),
      );
      const addressFormat = `{{(index .NetworkSettings.Networks "${PROXY_NETWORK}").IPAddress}}`;
      upstream = await docker(['inspect', '--format', addressFormat, emulator]);
      await waitUntil(
        async () => (await run(['exec', emulator, 'imds-emulator', 'healthcheck'])).exitCode === 0,
        {
          what: 'the emulator to answer',
        },
      );
    },
    proxyEnvironment: () => ({ MSI_PROXY_ROUTE: 'off', MSI_PROXY_IMDS_ADDRESS: `${upstream}:80` }),
    monitor: options => withEngineOf(process.env['DOCKER_HOST'] ?? '', options),
    keep: () => {
      kept = true;
      return {
        environment: `export DOCKER_HOST=${process.env['DOCKER_HOST'] ?? ''}`,
        removal: [
          `docker exec ${NAMES.monitor} msi-monitor unwire --all`,
          `docker rm --force $(docker ps --all --quiet --filter label=${DEMO_LABEL})`,
          `docker rmi ${demoImages(hadBase).join(' ')}`,
          ...(hadNetwork ? [] : [`docker network rm ${PROXY_NETWORK}`]),
        ],
      };
    },
    [Symbol.asyncDispose]: async () => {
      if (kept) return;
      await run(['exec', NAMES.monitor, 'msi-monitor', 'unwire', '--all']);
      const containers = await containersOfDemo(docker);
      if (containers.length > 0) await docker(['rm', '--force', '--volumes', ...containers]);
      if (!hadNetwork) await run(['network', 'rm', PROXY_NETWORK]);
      await run(['rmi', ...demoImages(hadBase)]);
    },
  };
}

/** The images that the demo brought to an engine. */
function demoImages(hadBase: boolean): string[] {
  const built = DEMO_IMAGES.map(({ repository }) => `${repository}:${DEMO_TAG}`);
  return hadBase ? built : [...built, PUBLIC_BASE_IMAGE];
}

async function containersOfDemo(docker: Docker): Promise<string[]> {
  const output = await docker(['ps', '--all', '--quiet', '--filter', `label=${DEMO_LABEL}`]);
  return output.split('\n').filter(id => id !== '');
}

/** Gives the monitor the way to the engine that this machine's Docker client has. */
function withEngineOf(dockerHost: string, options: ContainerOptions): ContainerOptions {
  const socket = /^unix:\/\/(.+)$/.exec(dockerHost)?.[1];
  if (socket === undefined) {
    return {
      ...options,
      network: 'host',
      env: { DOCKER_HOST: dockerHost, ...options.env },
      extra: ['--cap-add', 'NET_ADMIN', ...(options.extra ?? [])],
    };
  }
  // A desktop's engine runs in a VM of its own, where the socket is at its usual place.
  return monitorContainer(options, process.platform === 'linux' ? socket : '/var/run/docker.sock');
}
