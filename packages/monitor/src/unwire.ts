import { localCommandRunner, messageOf, silentLogger, systemClock } from '@msi-proxy/shared';
import type { MonitorSettings } from './config.ts';
import { createEngineClient, type EngineClient } from './docker/index.ts';
import { createVmRules } from './guard/nft-vm-rules.ts';
import { remedyOf } from './remedies.ts';
import { readTextFile } from './read-text-file.ts';
import { desiredState } from './reconcile/desired-state.ts';
import { Inventory } from './reconcile/inventory.ts';
import { missingVmAccess } from './vm-access.ts';
import { createClientNamespaces } from './wiring/client-namespace.ts';
import { createAttachWiring } from './wiring/attach/attach.ts';
import { LINK_NETWORK, LinkNetwork } from './wiring/attach/link-network.ts';
import { createNatWiring } from './wiring/nat.ts';
import { createPortproxyWiring } from './wiring/portproxy/portproxy.ts';

export interface UnwireOptions {
  readonly settings: MonitorSettings;
  /** Name or id of one container; everything when it is left out. */
  readonly container?: string;
  /** As Node names it, of the machine that the monitor runs on. */
  readonly platform: string;
  readonly print: (line: string) => void;
}

/**
 * Takes the wiring away: of one container, or of all and the rules of the VM too. Works without a running monitor; one
 * that runs would wire again.
 *
 * @returns whether all of it could be done
 */
export async function unwire({ settings, container, platform, print }: UnwireOptions): Promise<boolean> {
  const engine = createEngineClient({ dockerHost: settings.dockerHost, logger: silentLogger });
  const link = new LinkNetwork(engine);
  let succeeded = await unwireClients({ engine, link, settings, platform, wanted: container, print });
  if (container !== undefined || platform === 'win32' || settings.containerOs === 'windows') return succeeded;
  try {
    if (await link.remove()) print(`Removed the network ${LINK_NETWORK}, and the containers from it`);
  } catch (error) {
    print(`The network ${LINK_NETWORK} could not be removed: ${messageOf(error)}`);
    succeeded = false;
  }
  const missingAccess = missingVmAccess(readTextFile);
  if (missingAccess !== undefined && settings.wiring !== 'host') {
    print(`Packet rules of the VM were not looked for: ${missingAccess}`);
    return succeeded;
  }
  try {
    await createVmRules({ runner: localCommandRunner, logger: silentLogger }).remove();
    print('Removed the packet rules of the VM: the way to IMDS is open to all containers');
  } catch (error) {
    print(`The packet rules of the VM could not be removed: ${messageOf(error)}`);
    succeeded = false;
  }
  return succeeded;
}

interface UnwireClientsOptions {
  readonly engine: EngineClient;
  readonly link: LinkNetwork;
  readonly settings: MonitorSettings;
  readonly platform: string;
  readonly wanted: string | undefined;
  readonly print: (line: string) => void;
}

async function unwireClients({
  engine,
  link,
  settings,
  platform,
  wanted,
  print,
}: UnwireClientsOptions): Promise<boolean> {
  const inventory = new Inventory(engine);
  try {
    await inventory.readAll();
  } catch (error) {
    print(`Containers could not be read, so nothing was removed from them: ${messageOf(error)}`);
    print(`→ ${remedyOf(error, { host: settings.dockerHost, platform })}`);
    return false;
  }
  const namespaces = createClientNamespaces({ runner: localCommandRunner });
  const attach = createAttachWiring(link);
  const methods = [
    createNatWiring({ namespaces, probeArgv: ['false'], logger: silentLogger }),
    createPortproxyWiring({ engine, clock: systemClock }),
  ];
  const { clients } = desiredState(inventory.snapshot, settings);
  const matching = clients.filter(
    ({ container }) => wanted === undefined || container.name === wanted || container.id.startsWith(wanted),
  );
  if (wanted !== undefined && matching.length === 0) {
    print(`There is no running client container "${wanted}"`);
    return false;
  }
  let succeeded = true;
  for (const { container, plan } of matching) {
    if (plan.kind !== 'wire') continue;
    const isAttached = plan.namespace.networks.some(({ name }) => name === LINK_NETWORK);
    const method = isAttached ? attach : methods.find(each => each.suits(plan.namespace).suitable);
    if (method === undefined) continue;
    try {
      await method.remove(plan.namespace);
      print(`Removed the wiring inside ${container.name} (${container.id.slice(0, 12)})`);
    } catch (error) {
      print(`${container.name} (${container.id.slice(0, 12)}): ${messageOf(error)}`);
      succeeded = false;
    }
  }
  return succeeded;
}
