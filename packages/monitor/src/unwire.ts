import { localCommandRunner, messageOf, silentLogger } from '@msi-proxy/shared';
import type { MonitorSettings } from './config.ts';
import { createEngineClient } from './docker/index.ts';
import { createVmRules } from './guard/nft-vm-rules.ts';
import { readTextFile } from './read-text-file.ts';
import { unwireClients } from './unwire-clients.ts';
import { missingVmAccess } from './vm-access.ts';
import { LINK_NETWORK, LinkNetwork } from './wiring/attach/link-network.ts';

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
  const isForWindows = platform === 'win32' || settings.containerOs === 'windows';
  const missingAccess = isForWindows ? undefined : missingVmAccess(readTextFile);
  let succeeded = await unwireClients({
    engine,
    link,
    runner: localCommandRunner,
    settings,
    platform,
    seesVm: !isForWindows && missingAccess === undefined,
    wanted: container,
    print,
  });
  if (container !== undefined || isForWindows) return succeeded;
  try {
    if (await link.remove()) print(`Removed the network ${LINK_NETWORK}, and the containers from it`);
  } catch (error) {
    print(`The network ${LINK_NETWORK} could not be removed: ${messageOf(error)}`);
    succeeded = false;
  }
  if (missingAccess !== undefined && settings.wiring !== 'host') {
    print(`Packet rules of the VM were not looked for: ${missingAccess}`);
    return succeeded;
  }
  try {
    await createVmRules({ runner: localCommandRunner, logger: silentLogger }).remove();
    print('Removed the packet rules of the VM: nothing of the monitor keeps containers from IMDS any more');
  } catch (error) {
    print(`The packet rules of the VM could not be removed: ${messageOf(error)}`);
    succeeded = false;
  }
  return succeeded;
}
