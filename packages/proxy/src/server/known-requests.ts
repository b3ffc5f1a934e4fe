import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { FastAnswer, FastPath } from '@msi-proxy/shared/http';
import type { GatedRequest } from '../gate/gated-request.ts';
import { passGate } from '../gate/request-gate.ts';
import type { UpstreamAnswer } from '../upstream/upstream-answer.ts';
import { malformedReason } from './http-form.ts';
import { wireText } from './send-answer.ts';
import { sourceAddress } from './source-address.ts';

/** As many as {@link RequestHandler} remembers targets. */
const MAX_ENTRIES = 1_000;

/**
 * Token requests that came before, by their bytes, and what the gate made of them: the same, whoever sends them. Who it
 * is, what they may have and which token there is are looked at each time. See docs/adr/0020.
 */
export class KnownRequests implements FastPath {
  readonly #requests = new Map<string, GatedRequest>();
  readonly #answer: (request: GatedRequest, address: string) => UpstreamAnswer | undefined;

  /** @param answer gives what is kept for a request, or `undefined` when it must go the usual way */
  constructor(answer: (request: GatedRequest, address: string) => UpstreamAnswer | undefined) {
    this.#answer = answer;
  }

  connect(socket: Socket): FastAnswer {
    const address = sourceAddress(socket);
    return (text, close) => {
      const request = this.#requests.get(text);
      const answer = request && this.#answer(request, address);
      return answer && wireText(answer, close);
    };
  }

  learn(text: string, request: IncomingMessage): void {
    const { method = '', url: target = '', rawHeaders, httpVersion, headers } = request;
    const isKeptOpen = (headers.connection ?? 'keep-alive').toLowerCase() === 'keep-alive';
    if (httpVersion !== '1.1' || !isKeptOpen || malformedReason(request) !== undefined) return;
    const verdict = passGate({ method, target, rawHeaders });
    if (verdict.kind !== 'pass' || verdict.request.endpoint.group !== 'token') return;
    // As the gate's own memory: whoever sends ever new requests costs the others one more look now and then.
    if (this.#requests.size >= MAX_ENTRIES) this.#requests.clear();
    this.#requests.set(text, verdict.request);
  }
}
