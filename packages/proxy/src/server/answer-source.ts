import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import type { Caller } from '@msi-proxy/shared';
import type { LocalAnswer } from '@msi-proxy/shared/http';
import type { Allowed, DenyReason } from '../authorize/authorize.ts';
import type { GatedRequest } from '../gate/gated-request.ts';
import type { Via } from '../tokens/token-broker.ts';
import type { Waiting } from '../upstream/asked.ts';
import type { UpstreamAnswer } from '../upstream/upstream-answer.ts';

/** A request that may be answered, and what for. */
export interface AuthorizedRequest {
  readonly gated: GatedRequest;
  readonly decision: Allowed;
  readonly caller: Caller;
  readonly body: Buffer;
  /** As Node reads them. */
  readonly headers: IncomingHttpHeaders;
  readonly client: Waiting;
  /** As Node's server has it; absent for a GET that is known to the byte. */
  readonly exchange?: { readonly request: IncomingMessage; readonly response: ServerResponse } | undefined;
}

export type Answered =
  | {
      readonly kind: 'answer';
      readonly answer: UpstreamAnswer;
      readonly via: Via;
      /** Why a part of it would be kept back if the policies were enforced. */
      readonly wouldDeny?: DenyReason;
    }
  /** The budget of the VM does not suffice for an answer in time. */
  | { readonly kind: 'throttled' }
  /** There is no IMDS on this VM. */
  | { readonly kind: 'absent'; readonly answer: LocalAnswer }
  /** Only the answer of IMDS has shown that it is not for this client. */
  | { readonly kind: 'withheld'; readonly answer: LocalAnswer; readonly reason: string };

/** An answer for which nobody had to be asked. */
export interface KeptAnswer {
  readonly answer: UpstreamAnswer;
  readonly via: Via;
}

/** Told what has become of a request: one of the two, once. */
export interface AnswerReceiver {
  answered(answered: Answered): void;
  failed(error: unknown): void;
}

/** An answer that others wait for too: as a promise, but without the cost of one for each. */
export interface SharedAnswer {
  readonly kind: 'shared';
  tell(receiver: AnswerReceiver): void;
}

/**
 * Gets the answer to an authorised request: from where answers are kept, at once, or from IMDS. Rejects with an
 * `MsiProxyError` when there is none.
 */
export type AnswerSource = (authorized: AuthorizedRequest) => Answered | SharedAnswer | Promise<Answered>;

/** The same as a promise. */
export async function settled(answered: ReturnType<AnswerSource>): Promise<Answered> {
  if (answered instanceof Promise || answered.kind !== 'shared') return await answered;
  const { promise, resolve, reject } = Promise.withResolvers<Answered>();
  answered.tell({ answered: resolve, failed: reject });
  return await promise;
}
