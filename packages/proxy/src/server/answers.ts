import type { Clock, EndpointGroup, Logger } from '@msi-proxy/shared';
import type { ProxySettings } from '../config.ts';
import { Relay } from '../relay.ts';
import { TokenBroker } from '../tokens/token-broker.ts';
import { CallBudget } from '../upstream/budget/call-budget.ts';
import { ImdsClient } from '../upstream/imds-client.ts';
import { UpstreamCalls } from '../upstream/upstream-calls.ts';
import { Upstream } from '../upstream/upstream.ts';
import type { AnswerSource } from './answer-source.ts';
import { createRelaySource } from './relay-source.ts';
import { createSharedSource } from './shared-source.ts';
import { createTokenSource } from './token-source.ts';

export interface AnswersOptions {
  readonly settings: ProxySettings;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly version: string;
}

/** Everything that answers come from. */
export interface Answers {
  readonly upstream: Upstream;
  readonly broker: TokenBroker;
  readonly sourceOf: (group: EndpointGroup | 'versions') => AnswerSource;
}

/** Puts together what is behind the decision: broker, shared calls and relay, over one budget and five connections. */
export function createAnswers({ settings, clock, logger, version }: AnswersOptions): Answers {
  const { maxResponseBytes, upstreamTimeoutMillis, scheduledEventsTimeoutMillis } = settings;
  const random = Math.random;
  const upstream = new Upstream(settings.imdsAddress);
  const budget = new CallBudget({ clock, random, ...settings });
  const calls = new UpstreamCalls({ budget, clock, random });
  const client = new ImdsClient({ upstream, clock, maxResponseBytes, userAgent: `msi-proxy/${version}` });
  const broker = new TokenBroker({
    calls,
    send: (target, timeoutMillis) => client.get(target, timeoutMillis),
    clock,
    random,
    logger,
    maxEntries: settings.tokenCacheEntries,
    maxBytes: settings.tokenCacheBytes,
  });

  const relay = new Relay({ upstream, clock, maxResponseBytes });
  const relayed = (timeoutMillis: number) => createRelaySource({ relay, calls, clock, timeoutMillis });
  const general = relayed(upstreamTimeoutMillis);
  const scheduledEvents = relayed(scheduledEventsTimeoutMillis);
  const timeoutMillis = upstreamTimeoutMillis;
  const tokens = createTokenSource({ broker, clock, timeoutMillis, relay: general });
  const shared = createSharedSource({ client, calls, clock, timeoutMillis, relay: general });

  const sourceOf = (group: EndpointGroup | 'versions'): AnswerSource => {
    switch (group) {
      case 'token':
        return tokens;
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
  return { upstream, broker, sourceOf };
}
