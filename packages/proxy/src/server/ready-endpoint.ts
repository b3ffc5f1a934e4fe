import type { IncomingMessage } from 'node:http';
import { INSTANCE_HEADER, type Grant } from '@msi-proxy/shared';
import { jsonAnswer, type LocalAnswer } from '@msi-proxy/shared/http';
import type { CallerResolver, Resolution } from '../callers/caller-resolver.ts';
import { isFromInside } from './source-address.ts';

export interface ReadyEndpointOptions {
  readonly instanceId: string;
  readonly resolver: CallerResolver;
  /** What the health check of the proxy's own container is told. */
  readonly health: () => { readonly healthy: boolean; readonly details: Readonly<Record<string, unknown>> };
  readonly isDraining: () => boolean;
}

/** The proxy's own path: for wiring checks, for containers that wait for their wiring, and for its health check. */
export class ReadyEndpoint {
  readonly #options: ReadyEndpointOptions;

  constructor(options: ReadyEndpointOptions) {
    this.#options = options;
  }

  async answer(address: string, request: IncomingMessage): Promise<LocalAnswer> {
    const answer = isFromInside(request) ? this.#health() : await this.#ready(address);
    const headers = {
      ...answer.headers,
      [INSTANCE_HEADER]: this.#options.instanceId,
      'Cache-Control': 'no-store',
    };
    return { ...answer, headers };
  }

  #health(): LocalAnswer {
    const { healthy, details } = this.#options.health();
    return jsonAnswer(healthy ? 200 : 503, { healthy, ...details });
  }

  async #ready(address: string): Promise<LocalAnswer> {
    const reason = this.#options.isDraining()
      ? 'this proxy is stopping'
      : notReadyReason(await this.#options.resolver.resolveSoon(address));
    return reason === undefined
      ? jsonAnswer(200, { ready: true })
      : jsonAnswer(503, { ready: false, reason });
  }
}

function notReadyReason(resolution: Resolution): string | undefined {
  if (resolution.kind === 'unavailable') return resolution.reason;
  if (resolution.kind === 'nobody') return 'this container is not known yet';
  return grantProblem(resolution.caller.grant);
}

function grantProblem(grant: Grant): string | undefined {
  switch (grant.kind) {
    case 'client':
      return undefined;
    case 'refused':
      return `this container is refused: ${grant.reason}`;
    case 'unlabelled':
      return 'this container has no label MSIClientContainer';
  }
}
