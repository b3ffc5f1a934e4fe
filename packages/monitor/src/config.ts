import { isIPv4 } from 'node:net';
import {
  choiceSetting,
  hostPortSetting,
  integerSetting,
  LOG_LEVELS,
  textSetting,
  type Configuration,
  type SettingsOf,
} from '@msi-proxy/shared';
import { DEFAULT_DOCKER_HOST, DOCKER_HOST_GRAMMAR, parseDockerHost } from './docker/docker-host.ts';

/** As Docker's own rule for names of networks (daemon/names/names.go). */
const NETWORK_NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{1,127}$/;

/** All settings of the monitor; parsing, flags, `--help` and docs/settings.md come from here. */
export const MONITOR_SETTINGS = {
  dockerHost: textSetting({
    env: 'DOCKER_HOST',
    description: 'The Docker engine to follow.',
    defaultValue: DEFAULT_DOCKER_HOST,
    expectation: DOCKER_HOST_GRAMMAR,
    parse: text => (parseDockerHost(text) === undefined ? undefined : text),
  }),
  wiring: choiceSetting({
    env: 'MSI_MONITOR_WIRING',
    description:
      'How requests of containers are brought to the proxy: `auto` takes, for each container, the first method that suits it, and `attach` for all where the monitor cannot set the packet rules of the VM.',
    defaultValue: 'auto',
    choices: ['auto', 'host', 'nat', 'attach', 'portproxy'],
  }),
  guard: choiceSetting({
    env: 'MSI_MONITOR_GUARD',
    description:
      'Whether containers are kept from going to IMDS past the proxy: `audit` stops nobody, and counts and names those that would be stopped.',
    defaultValue: 'enforce',
    choices: ['enforce', 'audit', 'off'],
  }),
  listen: hostPortSetting({
    env: 'MSI_MONITOR_LISTEN',
    description: 'Where the status is served. Whoever reaches it can read names and policies of containers.',
    defaultValue: { host: '127.0.0.1', port: 9180 },
  }),
  resyncSeconds: integerSetting({
    env: 'MSI_MONITOR_RESYNC_SECONDS',
    reloadable: true,
    description: 'How often everything is read and compared anew, whatever events said.',
    defaultValue: 60,
    min: 1,
    max: 3_600,
    unit: 'seconds',
  }),
  proxyNetwork: textSetting<string | undefined>({
    env: 'MSI_MONITOR_PROXY_NETWORK',
    description:
      'The network that proxies are on: a bridge network, on Windows a NAT network. Made when it is absent. When it is not set: `msi-proxy-net`, on Windows the engine’s own `nat`.',
    defaultValue: undefined,
    expectation: 'a name of a Docker network',
    parse: text => (NETWORK_NAME.test(text) ? text : undefined),
    format: name => name ?? '',
  }),
  proxySubnet: textSetting<string | undefined>({
    env: 'MSI_MONITOR_PROXY_SUBNET',
    description: 'The subnet of that network, for when it is made. Docker chooses one when it is not set.',
    defaultValue: undefined,
    expectation: 'an IPv4 subnet in CIDR notation with 8 to 29 bits, such as "172.31.250.0/24"',
    parse: text => (isSubnet(text) ? text : undefined),
    format: subnet => subnet ?? '',
  }),
  standInPort: integerSetting({
    env: 'MSI_MONITOR_STAND_IN_PORT',
    description:
      "Port, on the proxies' network's own address, at which the monitor holds requests of clients while no proxy serves, and answers proxies while the Docker engine is silent; 0 for none. Only redirected requests and proxies reach it.",
    defaultValue: 9181,
    min: 0,
    max: 65_535,
  }),
  containerOs: choiceSetting({
    env: 'MSI_MONITOR_CONTAINER_OS',
    description:
      'What clients are taken for: `auto` asks the engine. The other values are for tests, such as those with a simulated Windows container on a Linux engine; `windows` also leaves the packet rules of the VM alone.',
    defaultValue: 'auto',
    choices: ['auto', 'windows', 'linux'],
  }),
  unlabelledSharers: choiceSetting({
    env: 'MSI_MONITOR_UNLABELLED_SHARERS',
    description:
      'What an unlabelled container that shares the network of a labelled one does to it. `ignore` lets it use what the labelled one was given: needed where something adds such containers to the network of each client.',
    defaultValue: 'refuse',
    choices: ['refuse', 'ignore'],
  }),
  logLevel: choiceSetting({
    env: 'MSI_MONITOR_LOG_LEVEL',
    reloadable: true,
    description: 'How much is logged.',
    defaultValue: 'info',
    choices: LOG_LEVELS,
  }),
};

/** Of the monitor: its settings, and what they are called in other places than the environment. */
export const MONITOR_CONFIGURATION = {
  settings: MONITOR_SETTINGS,
  prefix: 'MSI_MONITOR_',
  fileName: 'monitor.yaml',
} satisfies Configuration;

export type MonitorSettings = SettingsOf<typeof MONITOR_SETTINGS>;

function isSubnet(text: string): boolean {
  const [address = '', bits = '', ...rest] = text.split('/');
  return (
    rest.length === 0 && isIPv4(address) && /^\d{1,2}$/.test(bits) && Number(bits) >= 8 && Number(bits) <= 29
  );
}
