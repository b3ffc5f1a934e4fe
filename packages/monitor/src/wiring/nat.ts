import { MsiProxyError, type Logger } from '@msi-proxy/shared';
import { forgetFlows } from '../conntrack.ts';
import { Nft } from '../nft/nft.ts';
import { deleteTable, replaceTable } from '../nft/table-definition.ts';
import { TableKeeper } from '../nft/table-keeper.ts';
import { combineResults } from './apply-result.ts';
import type { ClientNamespace, ClientNamespaces } from './client-namespace.ts';
import { ensureImdsRoute, hasImdsRoute, removeImdsRoute } from './client-route.ts';
import { CLIENT_TABLE, clientTable } from './client-table.ts';
import { parseProbeOutcome, PROBE_TIMEOUT_MILLIS } from './probe.ts';
import { endpointFor } from './proxy-endpoint.ts';
import type { ApplyResult, ProxyTarget, Suitability, WirableClient, WiringMethod } from './wiring-method.ts';

export interface NatWiringDependencies {
  readonly namespaces: ClientNamespaces;
  /** Runs `probe()` in the namespace that it is started in, and prints its outcome as JSON. */
  readonly probeArgv: readonly [file: string, ...argv: string[]];
  readonly logger: Logger;
}

/** The probe's own limit, and the start of a Node process on a busy machine. */
const PROBE_COMMAND_TIMEOUT_MILLIS = PROBE_TIMEOUT_MILLIS + 5_000;

/** Drivers of the engine's networks `host` and `none`. */
const DRIVERS_WITHOUT_NAMESPACE: readonly string[] = ['host', 'null'];

/**
 * Forwards the client's requests inside its own network namespace. The proxy has to be reachable from there: be on a
 * network of the client's, since Docker keeps its networks apart.
 */
export function createNatWiring(dependencies: NatWiringDependencies): WiringMethod {
  return new NatWiring(dependencies);
}

class NatWiring implements WiringMethod {
  readonly name = 'nat';
  readonly #namespaces: ClientNamespaces;
  readonly #probeArgv: NatWiringDependencies['probeArgv'];
  readonly #logger: Logger;
  readonly #keeper = new TableKeeper();

  constructor({ namespaces, probeArgv, logger }: NatWiringDependencies) {
    this.#namespaces = namespaces;
    this.#probeArgv = probeArgv;
    this.#logger = logger;
  }

  suits({ platform, networks }: WirableClient): Suitability {
    if (platform !== 'linux') return { suitable: false, reason: `its platform is ${platform}` };
    const shared = networks.find(({ driver }) => DRIVERS_WITHOUT_NAMESPACE.includes(driver));
    if (shared !== undefined) {
      return { suitable: false, reason: `it is on the network ${shared.name}` };
    }
    if (networks.some(({ address }) => address !== '')) return { suitable: true };
    return { suitable: false, reason: 'it has no address of its own' };
  }

  async apply(client: WirableClient, target: ProxyTarget): Promise<ApplyResult> {
    const { runner } = await this.#namespaces.enter(client);
    const endpoint = endpointFor(client, target);
    const { result } = await this.#keeper.ensure(new Nft(runner), clientTable(endpoint));
    const route = await ensureImdsRoute(runner, endpoint.address);
    // Also what waits for an answer: where its SYN goes was decided before the rules were there.
    if (result !== 'unchanged') await forgetFlows({ runner, logger: this.#loggerOf(client) });
    return combineResults(result, route);
  }

  async redirect(
    client: WirableClient,
    target: ProxyTarget,
    { flushFlows }: { readonly flushFlows: boolean },
  ): Promise<void> {
    const { runner } = await this.#namespaces.enter(client);
    await new Nft(runner).load(replaceTable(clientTable(endpointFor(client, target)), {}));
    if (flushFlows) await forgetFlows({ runner, logger: this.#loggerOf(client) });
  }

  async verify(client: WirableClient, target: ProxyTarget): Promise<void> {
    const namespace = await this.#namespaces.enter(client);
    const { runner, programsFrom } = namespace;
    const table = clientTable(endpointFor(client, target));
    const differences = await this.#keeper.differences(new Nft(runner), table);
    if (differences.length > 0) throw notEffective(client, differences.join('; '));
    if (!(await hasImdsRoute(runner))) throw notEffective(client, 'the route to IMDS is missing');

    // The probe is a program of the monitor's, which is not in the client's image.
    if (programsFrom === 'monitor') await this.#verifyByRequest(client, namespace, target);
  }

  async remove(client: WirableClient): Promise<void> {
    try {
      const { runner } = await this.#namespaces.enter(client);
      const nft = new Nft(runner);
      if ((await nft.read(CLIENT_TABLE)) !== undefined) {
        await nft.load(deleteTable(CLIENT_TABLE));
        await forgetFlows({ runner, logger: this.#loggerOf(client) });
      }
      await removeImdsRoute(runner);
    } catch (error) {
      if (!(error instanceof MsiProxyError) || error.code !== 'MSI_NAMESPACE_GONE') throw error;
    }
  }

  async #verifyByRequest(
    client: WirableClient,
    { runner }: ClientNamespace,
    { instanceId }: ProxyTarget,
  ): Promise<void> {
    const [file, ...argv] = this.#probeArgv;
    const result = await runner.run(file, argv, { timeoutMillis: PROBE_COMMAND_TIMEOUT_MILLIS });
    const outcome = parseProbeOutcome(result.stdout);
    if (outcome === undefined) {
      throw new MsiProxyError('MSI_WIRING_COMMAND', `The probe ended with exit code ${result.exitCode}`, {
        details: { command: file, stderr: result.stderr.slice(0, 2_000) },
      });
    }
    if ('failure' in outcome) throw notEffective(client, `a request from it failed: ${outcome.failure}`);
    if (outcome.instanceId !== instanceId) {
      const who = outcome.instanceId === '' ? 'not by a proxy' : 'by another proxy';
      throw notEffective(client, `a request from it was answered ${who} (status ${outcome.status})`);
    }
  }

  #loggerOf({ containerId }: WirableClient): Logger {
    return this.#logger.child({ containerId });
  }
}

function notEffective({ name }: WirableClient, reason: string): MsiProxyError {
  return new MsiProxyError('MSI_WIRING_NOT_EFFECTIVE', `${name} does not reach the proxy: ${reason}`);
}
