import {
  codeOf,
  messageOf,
  MsiProxyError,
  printable,
  silentLogger,
  systemClock,
  type CommandRunner,
} from '@msi-proxy/shared';
import type { MonitorSettings } from './config.ts';
import type { EngineClient } from './docker/index.ts';
import { PROXIES_RULE, TARGET_MAP, VM_TABLE } from './guard/vm-table.ts';
import { Nft } from './nft/nft.ts';
import { desiredState, namespaceOf } from './reconcile/desired-state.ts';
import { Inventory } from './reconcile/inventory.ts';
import { remedyOf } from './remedies.ts';
import { createAttachWiring } from './wiring/attach/attach.ts';
import { LINK_NETWORK, type LinkNetwork } from './wiring/attach/link-network.ts';
import { createClientNamespaces, type NamespaceFiles } from './wiring/client-namespace.ts';
import { DEFAULT_PROXY_NETWORK } from './wiring/default-proxy-network.ts';
import { createExecInContainer } from './wiring/exec-in-container.ts';
import { routesInternalNetworks, suitsHost } from './wiring/host.ts';
import { createNatWiring } from './wiring/nat.ts';
import { createPortproxyWiring } from './wiring/portproxy/portproxy.ts';
import type { WirableClient, WiringMethod } from './wiring/wiring-method.ts';

export interface UnwireClientsOptions {
  readonly engine: EngineClient;
  readonly link: LinkNetwork;
  /** Runs programs where the monitor runs. */
  readonly runner: CommandRunner;
  readonly files?: NamespaceFiles;
  readonly settings: MonitorSettings;
  /** As Node names it, of the machine that the monitor runs on. */
  readonly platform: string;
  /** Whether the packet rules of the VM can be read. */
  readonly seesVm: boolean;
  /** Name or id of one container. */
  readonly wanted: string | undefined;
  readonly print: (line: string) => void;
}

/**
 * Takes the wiring away that is in or for single clients.
 *
 * @returns whether all of it could be done
 */
export async function unwireClients(options: UnwireClientsOptions): Promise<boolean> {
  const { engine, settings, platform, wanted, print } = options;
  const asked = { host: settings.dockerHost, platform };
  const inventory = new Inventory(engine);
  let methods: Methods;
  try {
    await inventory.readAll({ mayMiss: true });
    methods = await methodsFor(options);
  } catch (error) {
    print(`Containers could not be read, so nothing was removed from them: ${messageOf(error)}`);
    print(`→ ${remedyOf(error, asked)}`);
    return false;
  }
  const { clients } = desiredState(inventory.snapshot, settings);
  const matching = clients.filter(
    ({ container: { id, name } }) => wanted === undefined || name === wanted || id.startsWith(wanted),
  );
  if (wanted !== undefined && matching.length === 0) {
    print(`There is no running client container "${wanted}"`);
    return false;
  }
  let succeeded = true;
  let lacking: unknown;
  for (const { container, plan } of matching) {
    const who = `${printable(container.name)} (${container.id.slice(0, 12)})`;
    const unread = inventory.unreadable.get(container.id);
    if (unread !== undefined) {
      print(
        `${who}: the engine does not tell about it, so nothing was removed from it: ${messageOf(unread)}`,
      );
      succeeded = false;
      continue;
    }
    // What is refused now may have been wired before: somebody without the label has joined its network since.
    const namespace =
      plan.kind === 'wire' ? plan.namespace : namespaceOf(container.id, inventory.snapshot, settings);
    const choice = namespace === undefined ? undefined : methods(namespace);
    if (namespace === undefined || choice === undefined) continue;
    try {
      await choice.method.remove(namespace);
      print(`Removed the wiring inside ${who}`);
    } catch (error) {
      if (!choice.isExpected && codeOf(error) === 'MSI_WIRING_NO_CAPABILITY') {
        print(`Not looked for wiring inside ${who}, which needs none: ${messageOf(error)}`);
        continue;
      }
      print(`${who}: ${messageOf(error)}`);
      if (codeOf(error) === 'MSI_WIRING_NO_CAPABILITY') lacking = error;
      succeeded = false;
    }
  }
  if (lacking !== undefined) print(`→ ${remedyOf(lacking, asked)}`);
  return succeeded;
}

interface Choice {
  readonly method: Pick<WiringMethod, 'remove'>;
  /** Whether the monitor wires such a client inside. Where it does not, what is there was left by other settings. */
  readonly isExpected: boolean;
}

/** By which method a client may be wired; undefined where none of them can. */
type Methods = (client: WirableClient) => Choice | undefined;

async function methodsFor({
  engine,
  link,
  runner,
  files,
  settings,
  seesVm,
}: UnwireClientsOptions): Promise<Methods> {
  const { apiVersion } = await engine.version();
  const host = {
    proxyNetwork: settings.proxyNetwork ?? DEFAULT_PROXY_NETWORK.bridge,
    internalNetworksAreRouted: routesInternalNetworks(apiVersion),
  };
  const redirects = seesVm ? await vmRedirects(runner) : undefined;
  const isWiredInside = (client: WirableClient) => {
    if (settings.wiring !== 'auto') return settings.wiring === 'nat';
    return redirects === false || !suitsHost(client, host).suitable;
  };
  const nat = (ways: { readonly byExec: boolean }) =>
    createNatWiring({
      namespaces: createClientNamespaces({
        runner,
        ...(files !== undefined && { files }),
        ...(ways.byExec && { execInContainer: createExecInContainer(engine) }),
      }),
      probe: { ask: verifiesNothing, prepare: verifiesNothing },
      logger: silentLogger,
    });
  const [natByAnyWay, natByFiles] = [nat({ byExec: true }), nat({ byExec: false })];
  const attach = createAttachWiring(link);
  const portproxy = createPortproxyWiring({ engine, clock: systemClock });
  return client => {
    if (client.networks.some(({ name }) => name === LINK_NETWORK))
      return { method: attach, isExpected: true };
    if (natByAnyWay.suits(client).suitable) {
      const isExpected = isWiredInside(client);
      return { method: isExpected ? natByAnyWay : natByFiles, isExpected };
    }
    // A pause is no obstacle to what was done before it.
    const { suitable } = portproxy.suits({ ...client, paused: false });
    return suitable ? { method: portproxy, isExpected: true } : undefined;
  };
}

/** Whether the packet rules of the VM send requests to a proxy, so that clients need no others; undefined when nothing tells. */
async function vmRedirects(runner: CommandRunner): Promise<boolean | undefined> {
  const table = await new Nft(runner).read(VM_TABLE).catch((error: unknown) => {
    if (error instanceof MsiProxyError) return undefined;
    throw error;
  });
  if (table === undefined) return undefined;
  if (table.elements.has(TARGET_MAP)) return true;
  // Without the network of the proxies there is no redirect yet.
  const knowsProxies = [...table.rules.values()].flat().some(({ comment }) => comment === PROXIES_RULE);
  return knowsProxies ? false : undefined;
}

function verifiesNothing(): never {
  throw new Error('whoever unwires verifies nothing');
}
