import { readSettings, type Environment, type MonitorStatus, type ProxyCheck } from '@msi-proxy/shared';
import { MONITOR_SETTINGS } from '../../../src/config.ts';
import type {
  ContainerDetails,
  EngineClient,
  ExecResult,
  NetworkDetails,
} from '../../../src/docker/index.ts';
import { createFacts, type Facts, type Subject } from '../../../src/doctor/facts.ts';
import type { ClientNamespaces } from '../../../src/wiring/client-namespace.ts';
import { createNamespaceProbe } from '../../../src/wiring/namespace-probe.ts';
import { fakeCommandRunner, type FakeCommandRunner } from '../support/fake-command-runner.ts';
import { CLIENT_ID, PROXY_ID, someStatus } from '../status/support.ts';

export { CLIENT_ID, PROXY_ID };

/** A process on the VM's own network with all rights. */
const PROC: Readonly<Record<string, string>> = {
  '/proc/self/status': 'CapEff:\t000001ffffffffff\n',
  '/proc/self/net/dev': ' docker0: 0 0\n',
};

export const BRIDGE: NetworkDetails = {
  id: 'net-bridge',
  name: 'bridge',
  driver: 'bridge',
  internal: false,
  options: {},
  labels: {},
  containers: {},
};

/** A labelled client on the default bridge, without NET_RAW. */
export function container(changes: Partial<ContainerDetails> = {}): ContainerDetails {
  return {
    id: CLIENT_ID,
    name: 'web',
    image: 'web:1',
    labels: { MSIClientContainer: '' },
    platform: 'linux',
    state: 'running',
    startedAt: '2026-01-01T00:00:02.000Z',
    pid: 4_242,
    networkMode: 'default',
    sandboxKey: '/var/run/docker/netns/0123456789ab',
    networks: [{ name: 'bridge', networkId: 'net-bridge', address: '172.17.0.2' }],
    mayForgePackets: false,
    isolation: '',
    ...changes,
  };
}

export const HEALTHY_PROXY: ProxyCheck = {
  route: { ok: true, seen: '169.254.169.254 goes through 172.31.0.1 (eth0)' },
  imds: { ok: true, seen: '169.254.169.254:80 answers with status 200' },
  server: { ok: true, seen: '127.0.0.1:80 answers with status 200' },
  policy: { mode: 'enforce', requireIdentity: false },
  callers: [
    {
      address: '172.17.0.2',
      containerId: CLIENT_ID,
      name: 'web',
      startedAt: '2026-01-01T00:00:02.000Z',
      grant: { kind: 'client', policy: { identities: 'any', resources: 'any', endpoints: ['token'] } },
    },
  ],
};

export interface World {
  readonly containers?: readonly ContainerDetails[];
  readonly networks?: readonly NetworkDetails[];
  readonly engine?: Partial<EngineClient>;
  readonly subject?: Subject;
  readonly status?: MonitorStatus | Error;
  readonly proxyCheck?: ProxyCheck;
  readonly environment?: Environment;
  readonly platform?: string;
  readonly version?: string;
  readonly files?: Readonly<Record<string, string>>;
  readonly runner?: FakeCommandRunner;
  readonly namespaces?: ClientNamespaces;
}

/** The facts about a VM on which all is well, apart from what is said. */
export function factsOf(world: World = {}): Facts {
  const { containers = [container()], networks = [BRIDGE], status = someStatus(), files = PROC } = world;
  const { proxyCheck = HEALTHY_PROXY } = world;
  const find = (wanted: string) => containers.find(({ id, name }) => id === wanted || name === wanted);
  const answer: ExecResult = { exitCode: 0, stdout: JSON.stringify(proxyCheck), stderr: '' };
  const engine: Partial<EngineClient> = {
    host: 'unix:///var/run/docker.sock',
    ping: () => Promise.resolve(),
    version: () => Promise.resolve({ version: '28.0.0', apiVersion: '1.48' }),
    listContainers: () =>
      Promise.resolve(containers.map(container => ({ ...container, createdAt: container.startedAt }))),
    inspectContainer: id => Promise.resolve(find(id)),
    listNetworks: () => Promise.resolve([...networks]),
    runExec: () => Promise.resolve(answer),
    ...world.engine,
  };
  return createFacts({
    subject: world.subject ?? { container: 'web' },
    settings: readSettings(MONITOR_SETTINGS, world.environment ?? {}),
    version: world.version ?? '0.1.0',
    platform: world.platform ?? 'linux',
    runner: world.runner ?? fakeCommandRunner(),
    engine: engine as EngineClient,
    namespaces: world.namespaces ?? { enter: () => Promise.reject(new Error('no way in')) },
    probe: createNamespaceProbe(['msi-monitor', 'probe']),
    readText: path => files[path],
    fetchStatus: () => (status instanceof Error ? Promise.reject(status) : Promise.resolve(status)),
  });
}
