import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  errorShapeOf,
  NO_BODY,
  readBody,
  sendLocalAnswer,
  serviceUnavailable,
  type LocalAnswer,
} from '@msi-proxy/shared/http';
import type { StandInOutcome } from '@msi-proxy/shared/metrics';

/** A request of a container that waits for a proxy. */
export class HeldRequest {
  /** Of the container that asked. */
  readonly address: string;
  /** On the monotonic clock. */
  readonly arrivedAtMillis: number;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #callbacks: ((outcome: StandInOutcome) => void)[] = [];
  #isGivenUp = false;
  #body: Buffer = NO_BODY;

  constructor(request: IncomingMessage, response: ServerResponse, arrivedAtMillis: number) {
    this.address = request.socket.remoteAddress ?? '';
    this.arrivedAtMillis = arrivedAtMillis;
    this.#request = request;
    this.#response = response;
    response.on('error', () => undefined); // the client left; `close` follows
    response.once('close', () => {
      for (const callback of this.#callbacks) callback(this.#outcome);
    });
  }

  get request(): IncomingMessage {
    return this.#request;
  }

  get response(): ServerResponse {
    return this.#response;
  }

  get body(): Buffer {
    return this.#body;
  }

  /** @returns whether all of the body has come: not if the client has left */
  async readBody(contentLength: number): Promise<boolean> {
    const body = await readBody(this.#request, contentLength);
    if (body !== undefined) this.#body = body;
    return body !== undefined;
  }

  /** Nobody waits for the answer any more, or has it already. */
  get isOver(): boolean {
    return this.#response.destroyed || this.#response.writableEnded;
  }

  /** Calls back once, when the answer is out or the client has left. */
  onceOver(callback: (outcome: StandInOutcome) => void): void {
    this.#callbacks.push(callback);
  }

  /** Ends the connection with the answer, so that the next request comes to whoever serves then. */
  answer(answer: LocalAnswer): void {
    if (this.isOver) return;
    if (this.#response.headersSent) this.#response.destroy();
    else sendLocalAnswer(this.#response, answer, { close: true });
  }

  /** All SDKs try again after this one. */
  giveUp(): void {
    this.#isGivenUp ||= !this.isOver;
    this.answer(serviceUnavailable(errorShapeOf(this.#request.url ?? ''), 'Try again: no proxy serves'));
  }

  get #outcome(): StandInOutcome {
    if (this.#isGivenUp) return 'given-up';
    return this.#response.writableFinished ? 'passed-on' : 'client-left';
  }
}
