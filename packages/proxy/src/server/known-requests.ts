import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { FastAnswer, FastPath } from '@msi-proxy/shared/http';
import type { GatedRequest } from '../gate/gated-request.ts';
import { passGate } from '../gate/request-gate.ts';
import { malformedReason } from './http-form.ts';
import type { KnownRequest, RequestHandler } from './request-handler.ts';
import { sourceAddress } from './source-address.ts';

/** As many as {@link RequestHandler} remembers targets. */
const MAX_ENTRIES = 1_000;

/** What is asked for again and again, and answered at once or by a small answer of IMDS. */
const KNOWN_GROUPS: ReadonlySet<GatedRequest['endpoint']['group']> = new Set([
  'token',
  'instance',
  'loadbalancer',
  'versions',
  'identity-info',
  'attested',
] as const);

/**
 * GETs that came before, by their bytes, and what the gate made of them: the same, whoever sends them. Who it is, what
 * they may have and which answer there is are looked at each time. See docs/adr/0020 and 0027.
 */
export class KnownRequests implements FastPath {
  readonly #requests = new Map<string, KnownRequest>();
  readonly #handler: Pick<RequestHandler, 'known'>;

  constructor(handler: Pick<RequestHandler, 'known'>) {
    this.#handler = handler;
  }

  connect(socket: Socket): FastAnswer {
    const address = sourceAddress(socket);
    return (text, close, later) => {
      const request = this.#requests.get(text);
      return request && this.#handler.known(request, address, { close, later });
    };
  }

  learn(text: string, request: IncomingMessage): void {
    const { method = '', url: target = '', rawHeaders, httpVersion, headers } = request;
    const isKeptOpen = (headers.connection ?? 'keep-alive').toLowerCase() === 'keep-alive';
    if (httpVersion !== '1.1' || !isKeptOpen || malformedReason(request) !== undefined) return;
    const verdict = passGate({ method, target, rawHeaders });
    if (verdict.kind !== 'pass' || !KNOWN_GROUPS.has(verdict.request.endpoint.group)) return;
    // As the gate's own memory: whoever sends ever new requests costs the others one more look now and then.
    if (this.#requests.size >= MAX_ENTRIES) this.#requests.clear();
    this.#requests.set(text, { gated: verdict.request, headers: { ...headers } });
  }
}
