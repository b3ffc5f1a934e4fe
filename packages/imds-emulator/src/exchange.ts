import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { pause, type Clock, type Logger } from '@msi-proxy/shared';
import type { FaultPlan } from './faults/fault-plan.ts';
import { faultedReply } from './faults/faulted-reply.ts';
import { sendsWholeReply, transmit } from './faults/transmit.ts';
import { errorReply } from './http/error-reply.ts';
import { INVALID_HOSTNAME, INVALID_URL } from './http/front-door.ts';
import { readBody } from './http/read-body.ts';
import { parseRequestTarget, type RequestTarget } from './http/request-target.ts';
import { sendReply } from './http/send-reply.ts';
import type { RateLimiter } from './rate-limits/rate-limiter.ts';
import type { RecordedRequest, RequestLog } from './recorder/request-log.ts';
import type { Route, Router } from './routes/endpoint.ts';

export interface ExchangeContext {
  /** Looked up at each request, because the VM can be replaced while running. */
  readonly router: () => Router;
  readonly faults: FaultPlan;
  readonly limiter: RateLimiter;
  readonly requests: RequestLog;
  readonly clock: Clock;
  readonly logger: Logger;
}

// The body of an acknowledgement names a few events.
const MAX_BODY_BYTES = 65_536;

/**
 * One request and its answer: record, rate limit, fault, endpoint. Resolves when the answer is out or the client gone.
 *
 * @param stopping cuts whatever waits
 */
export async function exchange(
  { request, response }: { readonly request: IncomingMessage; readonly response: ServerResponse },
  context: ExchangeContext,
  stopping: AbortSignal,
): Promise<void> {
  const record = context.requests.add(describe(request, context.clock));
  const target = parseRequestTarget(request.url ?? '');
  if (target === undefined || request.headers.host === undefined) {
    const page = target === undefined ? INVALID_URL : INVALID_HOSTNAME;
    record({ status: page.status });
    sendReply(response, page);
    return;
  }

  const route = context.router()(target);
  const release = context.limiter.admit(route.errorShape);
  if (release === undefined) {
    record({ status: 429 });
    sendReply(response, errorReply(429, route.errorShape));
    return;
  }
  try {
    await exchangeAdmitted({ request, response, target, route, record }, context, stopping);
  } finally {
    release();
  }
}

interface AdmittedRequest {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly target: RequestTarget;
  readonly route: Route;
  readonly record: ReturnType<RequestLog['add']>;
}

async function exchangeAdmitted(
  { request, response, target, route, record }: AdmittedRequest,
  context: ExchangeContext,
  stopping: AbortSignal,
): Promise<void> {
  const { clock, faults, logger } = context;
  const { socket } = request;
  const path = pathOf(request);
  const signal = AbortSignal.any([stopping, closeSignal(response)]);

  const rule = faults.take({ category: route.category, path });
  const incoming = {
    method: request.method ?? '',
    target,
    headers: request.headers,
    readBody: async () => (await readBody(request, MAX_BODY_BYTES)).text,
  };
  const reply = await untilAborted(route.answer(incoming), signal);
  if (rule?.delayMillis !== undefined) await pause(clock, rule.delayMillis, signal);

  let isComplete = false;
  let status: number | null = null;
  if (reply === undefined || signal.aborted) {
    socket.destroy();
  } else {
    const sent = faultedReply(reply, rule, route.errorShape);
    if (sendsWholeReply(rule)) status = sent.status;
    // Before it is sent: whoever has the answer finds it in the record.
    record({ status });
    isComplete = await transmit({ response, socket, reply: sent, rule, clock, signal });
  }
  if (!isComplete) record({ status: null, clientGone: !stopping.aborted });
  logger.info('request', { method: incoming.method, path, status, fault: rule?.fault });
}

function describe(request: IncomingMessage, clock: Clock): RecordedRequest {
  return {
    at: new Date(clock.wallMillis()).toISOString(),
    method: request.method ?? '',
    target: request.url ?? '',
    rawHeaders: request.rawHeaders,
    sourceAddress: request.socket.remoteAddress ?? '',
    sourcePort: request.socket.remotePort ?? 0,
    status: null,
    clientGone: false,
  };
}

function pathOf({ url = '' }: IncomingMessage): string {
  return url.split('?', 1)[0] ?? '';
}

/** Aborted when the response is closed: sent, or its client gone. */
function closeSignal(response: ServerResponse): AbortSignal {
  const closed = new AbortController();
  response.once('close', () => closed.abort());
  return closed.signal;
}

async function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  if (signal.aborted) return undefined;
  const settled = new AbortController();
  try {
    const aborted = once(signal, 'abort', { signal: settled.signal }).then(
      () => undefined,
      () => undefined,
    );
    return await Promise.race([work, aborted]);
  } finally {
    settled.abort();
  }
}
