import { MsiProxyError, type Logger } from '@msi-proxy/shared';
import { forgetFlows } from '../conntrack/forget-flows.ts';
import { Nft } from '../nft/nft.ts';
import { deleteTable, replaceTable } from '../nft/table-definition.ts';
import { TableKeeper } from '../nft/table-keeper.ts';
import { combineResults } from './apply-result.ts';
import type { ClientNamespace, ClientNamespaces } from './client-namespace.ts';
import { ensureImdsRoute, hasImdsRoute, removeImdsRoute } from './client-route.ts';
import { CLIENT_TABLE, clientTable } from './client-table.ts';
import type { NamespaceProbe } from './namespace-probe.ts';
import type { ProbeOutcome } from './probe.ts';
import { endpointFor, type ProxyEndpoint } from './proxy-endpoint.ts';
import type {
  ApplyHints,
  ApplyResult,
  ProxyTarget,
  Suitability,
  WirableClient,
  WiringMethod,
} from './wiring-method.ts';

export interface NatWiringDependencies {
  readonly namespaces: ClientNamespaces;
  readonly probe: NamespaceProbe;
  readonly logger: Logger;
}

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
  readonly applyVerifies = true;
  readonly #namespaces: ClientNamespaces;
  readonly #probe: NamespaceProbe;
  readonly #logger: Logger;
  readonly #keeper = new TableKeeper();

  constructor({ namespaces, probe, logger }: NatWiringDependencies) {
    this.#namespaces = namespaces;
    this.#probe = probe;
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

  async apply(
    client: WirableClient,
    target: ProxyTarget,
    { isLikelyNew = false }: ApplyHints = {},
  ): Promise<ApplyResult> {
    const namespace = await this.#namespaces.enter(client);
    const asks = asksFrom(namespace);
    const ensuring = this.#ensure(client, target, namespace, isLikelyNew);
    // The rules come first: each start of a program holds this process up.
    const prepared = asks ? this.#probe.prepare(namespace.runner) : undefined;
    try {
      const result = await ensuring;
      const reason = prepared && unansweredBy(target, await prepared.ask());
      if (!asks || reason !== undefined) await this.#examine(client, target, namespace, reason);
      return result;
    } finally {
      prepared?.cancel();
    }
  }

  async redirect(
    client: WirableClient,
    target: ProxyTarget,
    { flushFlows }: { readonly flushFlows: boolean },
  ): Promise<void> {
    const namespace = await this.#namespaces.enter(client);
    const endpoint = endpointFor(client, target);
    await new Nft(namespace.runner).load(replaceTable(clientTable(endpoint), {}));
    if (flushFlows) await this.#forgetFlowsBut(endpoint, namespace, client);
  }

  async verify(client: WirableClient, target: ProxyTarget): Promise<void> {
    const namespace = await this.#namespaces.enter(client);
    const asks = asksFrom(namespace);
    const reason = asks ? unansweredBy(target, await this.#probe.ask(namespace.runner)) : undefined;
    if (!asks || reason !== undefined) await this.#examine(client, target, namespace, reason);
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

  async #ensure(
    client: WirableClient,
    target: ProxyTarget,
    namespace: ClientNamespace,
    isLikelyNew: boolean,
  ): Promise<ApplyResult> {
    const { runner } = namespace;
    const endpoint = endpointFor(client, target);
    // At the same time, because loading rules is mostly waiting for the kernel.
    const ensuring = [
      this.#keeper
        .ensure(new Nft(runner), clientTable(endpoint), {}, { provenOtherwise: true, isLikelyNew })
        .then(({ result }) => result),
      ensureImdsRoute(runner, endpoint.address),
    ] as const;
    // Nothing of it goes on when this has failed.
    await Promise.allSettled(ensuring);
    const [result, route] = await Promise.all(ensuring);
    // Also what waits for an answer: where its SYN goes was decided before the rules were there.
    if (result !== 'unchanged') await this.#forgetFlowsBut(endpoint, namespace, client);
    return combineResults(result, route);
  }

  /**
   * An answer of the proxy proves rules and route; without one, they tell what is wrong.
   *
   * @param reason why the proxy did not answer; undefined when nothing could be asked, and rules and route have to do
   */
  async #examine(
    client: WirableClient,
    target: ProxyTarget,
    { runner }: ClientNamespace,
    reason: string | undefined,
  ): Promise<void> {
    const table = clientTable(endpointFor(client, target));
    const differences = await this.#keeper.differences(new Nft(runner), table);
    if (differences.length > 0) throw notEffective(client, differences.join('; '));
    if (!(await hasImdsRoute(runner))) throw notEffective(client, 'the route to IMDS is missing');
    if (reason !== undefined) throw notEffective(client, reason);
  }

  async #forgetFlowsBut(
    except: ProxyEndpoint,
    { runner, pid }: ClientNamespace,
    client: WirableClient,
  ): Promise<void> {
    const logger = this.#loggerOf(client);
    await forgetFlows({ runner, logger, except, ...(pid !== undefined && { pid }) });
  }

  #loggerOf({ containerId }: WirableClient): Logger {
    return this.#logger.child({ containerId });
  }
}

/** The probe is a program of the monitor's, which is not in the client's image. */
function asksFrom({ programsFrom }: ClientNamespace): boolean {
  return programsFrom === 'monitor';
}

/** @returns why it is not the proxy that answers; undefined when it is */
function unansweredBy({ instanceId }: ProxyTarget, outcome: ProbeOutcome): string | undefined {
  if ('failure' in outcome) return `a request from it failed: ${outcome.failure}`;
  if (outcome.instanceId === instanceId) return undefined;
  const who = outcome.instanceId === '' ? 'not by a proxy' : 'by another proxy';
  return `a request from it was answered ${who} (status ${outcome.status})`;
}

function notEffective({ name }: WirableClient, reason: string): MsiProxyError {
  return new MsiProxyError('MSI_WIRING_NOT_EFFECTIVE', `${name} does not reach the proxy: ${reason}`);
}
