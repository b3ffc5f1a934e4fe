import { IMDS_ADDRESS, IMDS_PORT, MsiProxyError, type Clock } from '@msi-proxy/shared';
import type { EngineClient } from '../../docker/index.ts';
import { endpointFor } from '../proxy-endpoint.ts';
import type {
  ApplyResult,
  ClientNetwork,
  ProxyTarget,
  Suitability,
  WirableClient,
  WiringMethod,
} from '../wiring-method.ts';
import { cmdArgv, ruleTo } from './cmd-lines.ts';
import { cmd } from './cmd.ts';
import { containerCommands, PAUSED } from './container-commands.ts';
import type { ForwardingShell } from './forwarding-shell.ts';
import type { Observation } from './observation.ts';
import { answerObstacle, obstacleTo, OTHER_WAY, remainder, type Obstacle } from './obstacle.ts';
import type { ForwardTarget } from './powershell-script.ts';
import { powershell } from './powershell.ts';
import { askArgv, readAnswer } from './ready-request.ts';

export interface PortproxyWiringDependencies {
  readonly engine: Pick<EngineClient, 'runExec' | 'inspectContainer'>;
  readonly clock: Clock;
  /** Ends the waiting for commands, which may take a minute; what they do goes on, and is read back another time. */
  readonly stopping?: AbortSignal;
}

/**
 * Networks on which a container has an address behind the VM's own, which is the only source that IMDS answers
 * (protocol.md 4.1). No Windows engine has `bridge`; it is what a simulated Windows container is on.
 */
const NAT_DRIVERS: readonly string[] = ['nat', 'bridge'];

/**
 * Gives a Windows client the address 169.254.169.254 itself, and has Windows' own port proxy (service iphlpsvc) forward
 * port 80 of it. The proxy sees the client's own address, since the port proxy opens a connection of its own.
 */
export function createPortproxyWiring(dependencies: PortproxyWiringDependencies): WiringMethod {
  return new PortproxyWiring(dependencies);
}

class PortproxyWiring implements WiringMethod {
  readonly name = 'portproxy';
  readonly applyVerifies = true;
  readonly appliesSlowly = true;
  readonly #engine: PortproxyWiringDependencies['engine'];
  readonly #clock: Clock;
  readonly #stopping: AbortSignal;

  constructor({ engine, clock, stopping = new AbortController().signal }: PortproxyWiringDependencies) {
    this.#stopping = stopping;
    this.#engine = engine;
    this.#clock = clock;
  }

  suits({ platform, isolation, paused, networks }: WirableClient): Suitability {
    if (platform !== 'windows') return unsuitable(`its platform is ${platform}`);
    if (isolation === 'hyperv') {
      return unsuitable(
        `it runs with Hyper-V isolation, which is not supported: start it with --isolation=process; or ${OTHER_WAY}`,
      );
    }
    if (natNetwork(networks) === undefined) {
      const found = networks.map(({ name, driver }) => `${name} (${driver})`).join(', ') || 'none';
      return unsuitable(`it has no address on a NAT network (its networks: ${found})`);
    }
    return paused ? unsuitable(PAUSED) : { suitable: true };
  }

  async apply(client: WirableClient, target: ProxyTarget): Promise<ApplyResult> {
    const forward = forwardTarget(client, target);
    const seen = await this.#inShell(client, shell => shell.ensure(addressOf(client, target), forward));
    const obstacle = obstacleTo(seen, forward);
    if (obstacle !== undefined) throw failure(client, obstacle);
    return resultOf(seen.changes);
  }

  /** Without PowerShell: address and service are there already. */
  async retarget(client: WirableClient, target: ProxyTarget): Promise<void> {
    const lines = [ruleTo(endpointFor(client, target), 'set'), askArgv(IMDS_ADDRESS, IMDS_PORT).join(' ')];
    await this.#assertAnswer(client, cmdArgv(lines), target);
  }

  async verify(client: WirableClient, target: ProxyTarget): Promise<void> {
    await this.#assertAnswer(client, askArgv(IMDS_ADDRESS, IMDS_PORT), target);
  }

  async #assertAnswer(
    client: WirableClient,
    argv: readonly string[],
    { instanceId }: ProxyTarget,
  ): Promise<void> {
    const result = await containerCommands(this.#engine, client, this.#stopping).run(argv);
    const obstacle = answerObstacle(readAnswer(result?.stdout ?? ''), instanceId);
    if (obstacle !== undefined) throw failure(client, obstacle);
  }

  async remove(client: WirableClient): Promise<void> {
    try {
      const seen = await this.#inShell(client, shell => shell.remove(addressOf(client)));
      const left = remainder(seen);
      if (left !== undefined) throw failure(client, { code: 'MSI_WIRING_NOT_EFFECTIVE', reason: left });
    } catch (error) {
      if (!(error instanceof MsiProxyError) || error.code !== 'MSI_NAMESPACE_GONE') throw error;
    }
  }

  /** PowerShell does all in one round trip; images without it have the command interpreter. */
  async #inShell(
    client: WirableClient,
    use: (shell: ForwardingShell) => Promise<Observation | undefined>,
  ): Promise<Observation> {
    const commands = containerCommands(this.#engine, client, this.#stopping);
    const seen = (await use(powershell(commands))) ?? (await use(cmd(commands, this.#clock)));
    if (seen !== undefined) return seen;
    throw failure(client, {
      code: 'MSI_WIRING_NOT_APPLICABLE',
      reason: `neither powershell nor cmd could be started in it as ContainerAdministrator; ${OTHER_WAY}`,
    });
  }
}

function natNetwork(networks: readonly ClientNetwork[]): ClientNetwork | undefined {
  return networks.find(({ driver, address }) => NAT_DRIVERS.includes(driver) && address !== '');
}

/** The client's own address by which its interface is found: on a network of the proxy's, if there is one. */
function addressOf({ networks }: WirableClient, target?: ProxyTarget): string {
  const shared = networks.find(({ name }) => target?.addressesByNetwork[name] !== undefined);
  return (shared ?? natNetwork(networks))?.address ?? '';
}

function forwardTarget(client: WirableClient, target: ProxyTarget): ForwardTarget {
  return { ...endpointFor(client, target), instanceId: target.instanceId };
}

function resultOf(changes: readonly string[]): ApplyResult {
  if (changes.length === 0) return 'unchanged';
  const isNew = changes.includes('address') || changes.includes('retarget');
  return isNew && !changes.includes('wrong-address') ? 'applied' : 'repaired';
}

function failure({ name }: WirableClient, { code, reason }: Obstacle): MsiProxyError {
  return new MsiProxyError(code, `${name} is not forwarded: ${reason}`);
}

function unsuitable(reason: string): Suitability {
  return { suitable: false, reason };
}
