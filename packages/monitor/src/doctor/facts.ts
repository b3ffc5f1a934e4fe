import {
  messageOf,
  MsiProxyError,
  type Caller,
  type CommandRunner,
  type IdentityRef,
  type MonitorStatus,
  type ProxyCheck,
  type ProxyStatus,
} from '@msi-proxy/shared';
import type { MonitorSettings } from '../config.ts';
import type { ContainerDetails, EngineClient } from '../docker/index.ts';
import {
  desiredState,
  type DesiredClient,
  type DesiredState,
  type EngineSnapshot,
} from '../reconcile/desired-state.ts';
import { Inventory } from '../reconcile/inventory.ts';
import type { ClientNamespaces } from '../wiring/client-namespace.ts';
import type { NamespaceProbe } from '../wiring/namespace-probe.ts';

/** What is asked about. */
export interface Subject {
  /** Name or id of a container; absent for the VM as a whole. */
  readonly container?: string;
  /** For the verdict of the container's policy. */
  readonly resource?: string;
  readonly identity?: IdentityRef;
}

/** What checks look at. Each is read once, at the first question, and each question gets the same answer or error. */
export interface Facts {
  readonly subject: Subject;
  readonly settings: MonitorSettings;
  readonly version: string;
  /** As Node names it. */
  readonly platform: string;
  readonly runner: CommandRunner;
  readonly engine: EngineClient;
  readonly namespaces: ClientNamespaces;
  readonly probe: NamespaceProbe;
  /** The text of a file of this machine; undefined when it cannot be read. */
  readonly readText: (path: string) => string | undefined;
  /** What the engine has. */
  readonly snapshot: () => Promise<EngineSnapshot>;
  /** Why, by id, containers that the engine lists could not be read. */
  readonly unreadable: () => Promise<ReadonlyMap<string, Error>>;
  /** What should be, by the labels. */
  readonly desired: () => Promise<DesiredState>;
  /** What the running monitor says. */
  readonly status: () => Promise<MonitorStatus>;
  /** The proxy that clients are sent to, as the monitor says; undefined when there is none. */
  readonly servingProxy: () => Promise<ProxyStatus | undefined>;
  /** What the serving proxy sees. */
  readonly proxyCheck: () => Promise<ProxyCheck>;
  /** The container that is asked about, also one that does not run; undefined when there is none of that name. */
  readonly container: () => Promise<ContainerDetails | undefined>;
  /** The same as a labelled client. */
  readonly client: () => Promise<DesiredClient | undefined>;
}

export type FactSources = Pick<
  Facts,
  'subject' | 'settings' | 'version' | 'platform' | 'runner' | 'engine' | 'namespaces' | 'probe' | 'readText'
> & {
  /** Asks the running monitor. */
  readonly fetchStatus: () => Promise<MonitorStatus>;
};

const PROXY_CHECK_TIMEOUT_MILLIS = 8_000;

export function createFacts({ fetchStatus, ...sources }: FactSources): Facts {
  const { engine, subject, settings } = sources;
  const inventory = once(async () => {
    const read = new Inventory(engine);
    await read.readAll({ mayMiss: true });
    return read;
  });
  const snapshot = once(async () => (await inventory()).snapshot);
  const unreadable = once(async () => (await inventory()).unreadable);
  const desired = once(async () => desiredState(await snapshot(), settings));
  const status = once(fetchStatus);
  const servingProxy = once(async () => (await status()).proxies.find(({ state }) => state === 'serving'));
  const proxyCheck = once(async () => {
    const proxy = await servingProxy();
    if (proxy === undefined) throw new MsiProxyError('MSI_CONTROL_UNAVAILABLE', 'No proxy serves');
    return await askProxy(engine, proxy);
  });
  const container = once(async () => {
    const { container: wanted = '' } = subject;
    return wanted === '' ? undefined : await engine.inspectContainer(wanted);
  });
  const client = once(async () => {
    const { id } = (await container()) ?? {};
    return (await desired()).clients.find(each => each.container.id === id);
  });
  return { ...sources, snapshot, unreadable, desired, status, servingProxy, proxyCheck, container, client };
}

async function askProxy(engine: EngineClient, { containerId, name }: ProxyStatus): Promise<ProxyCheck> {
  const { stdout, stderr, exitCode } = await engine.runExec(containerId, ['msi-proxy', 'check', '--json'], {
    timeoutMillis: PROXY_CHECK_TIMEOUT_MILLIS,
  });
  try {
    return readProxyCheck(stdout);
  } catch (cause) {
    throw new MsiProxyError(
      'MSI_CONTROL_UNAVAILABLE',
      `msi-proxy check in ${name} ended with exit code ${exitCode}: ${(stderr.trim() || messageOf(cause)).slice(0, 500)}`,
      { cause },
    );
  }
}

function readProxyCheck(text: string): ProxyCheck {
  const check: unknown = JSON.parse(text);
  if (!isRecord(check) || !['route', 'imds', 'server', 'policy'].every(key => isRecord(check[key]))) {
    throw new Error('it printed something else than a check');
  }
  return check as unknown as ProxyCheck;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

/** The entries of the proxy's table for these addresses. */
export function callersAt(callers: readonly Caller[], addresses: readonly string[]): Caller[] {
  return callers.filter(({ address }) => addresses.includes(address));
}

function once<T>(read: () => Promise<T>): () => Promise<T> {
  let reading: Promise<T> | undefined;
  return () => (reading ??= read());
}
