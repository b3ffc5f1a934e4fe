import { MsiProxyError, type Clock } from '@msi-proxy/shared';
import type { UpstreamAnswer } from '../../../src/upstream/upstream-answer.ts';

type Reply = UpstreamAnswer | MsiProxyError;

/** IMDS as the callers of `send` see it, on a fake clock. */
export class FakeImds {
  /** Targets in the order in which they were asked. */
  readonly asked: string[] = [];
  /** How many were under way at once, at most. */
  mostAtOnce = 0;
  latencyMillis = 20;
  reply: (target: string) => Reply;
  readonly #clock: Clock;
  #underWay = 0;

  constructor(clock: Clock, reply: (target: string) => Reply) {
    this.#clock = clock;
    this.reply = reply;
  }

  readonly send = async (target: string, timeoutMillis: number): Promise<UpstreamAnswer> => {
    this.asked.push(target);
    this.#underWay += 1;
    this.mostAtOnce = Math.max(this.mostAtOnce, this.#underWay);
    await new Promise<void>(resolve => {
      this.#clock.setTimer(resolve, Math.min(this.latencyMillis, timeoutMillis));
    });
    this.#underWay -= 1;
    const reply =
      this.latencyMillis > timeoutMillis
        ? new MsiProxyError('MSI_UPSTREAM_TIMEOUT', `no whole answer within ${timeoutMillis} ms`)
        : this.reply(target);
    if (reply instanceof MsiProxyError) throw reply;
    return reply;
  };
}

export function upstreamAnswer(
  body: string,
  { status = 200, contentType = 'application/json; charset=utf-8', headers = [] as readonly string[] } = {},
): UpstreamAnswer {
  const bytes = Buffer.from(body);
  return {
    status,
    statusText: 'as given',
    rawHeaders: [
      ...['Content-Type', contentType, 'Server', 'IMDS/150.870.65.1854'],
      ...['Date', 'Thu, 01 Jan 2026 00:00:00 GMT', 'x-ms-request-id', 'request', ...headers],
      ...['Content-Length', String(bytes.length)],
    ],
    contentType,
    contentEncoding: undefined,
    contentLength: String(bytes.length),
    body: bytes,
  };
}

export function errorText(text: string): string {
  return JSON.stringify({ error: 'invalid_request', error_description: text });
}

export function isDown(): MsiProxyError {
  return new MsiProxyError('MSI_UPSTREAM_FAILED', 'IMDS did not answer: connect ECONNREFUSED');
}
