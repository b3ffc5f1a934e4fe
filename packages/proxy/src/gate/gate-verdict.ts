import type { LocalAnswer } from '@msi-proxy/shared/http';
import type { GatedRequest } from './gated-request.ts';
import type { TargetReason } from './target.ts';

/** Why the gate answered itself; stable words for metrics and audit lines. */
export type GateReason =
  | TargetReason
  | 'metadata-header-missing'
  | 'forwarded-for'
  | 'rewriting-header'
  | 'host'
  | 'method'
  | 'upgrade'
  | 'body'
  | 'unknown-endpoint';

export type GateVerdict =
  | { readonly kind: 'pass'; readonly request: GatedRequest }
  | { readonly kind: 'answer'; readonly answer: LocalAnswer; readonly reason: GateReason };

/** What is asked for is in a body of this length, which is to be judged too. */
export interface FormVerdict {
  readonly kind: 'form';
  readonly contentLength: number;
}

export function refusal(reason: GateReason, answer: LocalAnswer): GateVerdict {
  return { kind: 'answer', answer, reason };
}
