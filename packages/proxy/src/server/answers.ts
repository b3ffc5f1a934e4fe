import type { Clock, EndpointGroup, HostPort, Logger } from '@msi-proxy/shared';
import type { ProxySettings } from '../config.ts';
import type { Relay } from '../relay.ts';
import { TokenBroker } from '../tokens/token-broker.ts';
import { CallBudget } from '../upstream/budget/call-budget.ts';
import { ImdsClient } from '../upstream/imds-client.ts';
import { ImdsPresence } from '../upstream/imds-presence.ts';
import { UpstreamCalls, type UpstreamCallsOptions } from '../upstream/upstream-calls.ts';
import { LANES } from '../upstream/lane.ts';
import { Upstream } from '../upstream/upstream.ts';
import { asVmExtension, type Send } from '../upstream/vm-extension.ts';
import type { AnswerSource } from './answer-source.ts';
import { createOptionalSource } from './optional-source.ts';
import { createRelaySource, type RelaySourceOptions } from './relay-source.ts';
import { createSharedSource } from './shared-source.ts';
import { createTokenSource, type TokenSource } from './token-source.ts';

export interface AnswersOptions {
  readonly settings: ProxySettings;
  /** As they are at the moment. */
  readonly timeouts: () => Pick<ProxySettings, 'upstreamTimeoutMillis' | 'scheduledEventsTimeoutMillis'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly version: string;
  readonly onTry: UpstreamCallsOptions['onTry'];
  readonly isCurrent: RelaySourceOptions['isCurrent'];
}

/** Everything that answers come from. */
export interface Answers {
  /** Where tokens come from. */
  readonly upstream: Upstream;
  readonly broker: TokenBroker;
  /** Calls that wait for their turn. */
  readonly waiting: () => number;
  readonly sourceOf: (group: EndpointGroup | 'versions') => AnswerSource;
  /** A token that nobody has to be asked for. */
  readonly keptToken: TokenSource['kept'];
  /** Closes all connections to where answers come from. */
  destroy(): void;
}

/** Puts together what is behind the decision: broker, shared calls and relay, over one budget and five connections. */
export function createAnswers(options: AnswersOptions): Answers {
  const { settings, timeouts, clock, logger, version, onTry, isCurrent } = options;
  const { maxResponseBytes } = settings;
  const random = Math.random;
  const userAgent = `msi-proxy/${version}`;
  const clientOf = (upstream: Upstream) => new ImdsClient({ upstream, clock, maxResponseBytes, userAgent });
  const imds = new Upstream(settings.imdsAddress);
  const client = clientOf(imds);
  const sendToImds = sendBy(client);
  const extension =
    settings.upstream === 'vm-extension' ? vmExtension(settings.vmExtensionAddress) : undefined;
  const budget = new CallBudget({ clock, random, ...settings });
  const calls = new UpstreamCalls({ budget, clock, random, ...(onTry !== undefined && { onTry }) });
  const broker = new TokenBroker({
    calls,
    send: extension === undefined ? sendToImds : asVmExtension(sendBy(clientOf(extension)), clock),
    clock,
    random,
    logger,
    maxEntries: settings.tokenCacheEntries,
    maxBytes: settings.tokenCacheBytes,
  });

  const presence = new ImdsPresence({ send: sendToImds, clock });
  const fromImds = (source: AnswerSource) =>
    extension === undefined
      ? source
      : createOptionalSource({ source, isPresent: () => presence.isPresent() });
  let loading: Promise<Relay> | undefined;
  // With all that the library brings it is loaded when it is needed, which in most proxies is never.
  const relay = () =>
    (loading ??= import('../relay.ts').then(
      ({ Relay }) => new Relay({ upstream: imds, clock, maxResponseBytes }),
    ));
  const { hostHeader } = imds;
  const relayed = (timeoutMillis: () => number) =>
    fromImds(createRelaySource({ relay, client, hostHeader, calls, clock, timeoutMillis, isCurrent }));
  const timeoutMillis = () => timeouts().upstreamTimeoutMillis;
  const general = relayed(timeoutMillis);
  const scheduledEvents = relayed(() => timeouts().scheduledEventsTimeoutMillis);
  const tokens = createTokenSource({ broker, clock, timeoutMillis, relay: general });
  const shared = fromImds(createSharedSource({ client, calls, clock, timeoutMillis, relay: general }));

  const sourceOf = (group: EndpointGroup | 'versions'): AnswerSource => {
    switch (group) {
      case 'token':
        return tokens.source;
      case 'instance':
      case 'loadbalancer':
      case 'versions':
        return shared;
      case 'scheduledevents':
      case 'scheduledevents-ack':
        return scheduledEvents;
      case 'identity-info':
      case 'userdata':
      case 'attested':
      case 'credential':
        return general;
    }
  };
  const waiting = () => LANES.reduce((sum, lane) => sum + budget.waiting(lane), 0);
  const destroy = () => {
    imds.destroy();
    extension?.destroy();
  };
  return { upstream: extension ?? imds, broker, waiting, sourceOf, keptToken: tokens.kept, destroy };
}

function sendBy(client: ImdsClient): Send {
  return (target, timeoutMillis) => client.get(target, { timeoutMillis });
}

/** It is documented under this name only, wherever its requests come from. */
function vmExtension(address: HostPort): Upstream {
  return new Upstream(address, 'localhost');
}
