import { get } from 'node:http';
import { codeOf, IMDS_ADDRESS, IMDS_PORT, INSTANCE_HEADER, messageOf, READY_PATH } from '@msi-proxy/shared';

export interface ProbeOptions {
  readonly address?: string;
  readonly port?: number;
  /** For everything from the connection to the head of the answer. */
  readonly timeoutMillis?: number;
}

export type ProbeOutcome =
  /** `instanceId` is empty when the answer is none of a proxy of ours: IMDS knows no such path. */
  | { readonly status: number; readonly instanceId: string }
  /** The code of the failure, or its text. */
  | { readonly failure: string };

/** Long enough for a SYN that is dropped to be sent again, after 1 s. */
export const PROBE_TIMEOUT_MILLIS = 2_500;

/**
 * Asks whoever answers at the address of IMDS whether it is a proxy of ours. Without the header `Metadata`, so that IMDS
 * itself would refuse it. Run in the network namespace of a client, it proves the client's wiring.
 */
export async function probe({
  address = IMDS_ADDRESS,
  port = IMDS_PORT,
  timeoutMillis = PROBE_TIMEOUT_MILLIS,
}: ProbeOptions = {}): Promise<ProbeOutcome> {
  return await new Promise(resolve => {
    const signal = AbortSignal.timeout(timeoutMillis);
    const request = get({ host: address, port, path: READY_PATH, agent: false, signal });
    request.on('response', response => {
      const instanceId = response.headers[INSTANCE_HEADER.toLowerCase()];
      resolve({
        status: response.statusCode ?? 0,
        instanceId: typeof instanceId === 'string' ? instanceId : '',
      });
      response.destroy();
    });
    request.on('error', error => {
      resolve({
        failure: signal.aborted
          ? `no answer within ${timeoutMillis} ms`
          : (codeOf(error) ?? messageOf(error)),
      });
    });
  });
}

/** A container decides what is printed. Node takes no longer head either. */
const MAX_HEAD_LENGTH = 16 * 1024;

/** Reads the head of an answer as curl and wget print it; undefined when there is none. */
export function readAnswerHead(text: string): ProbeOutcome | undefined {
  // Blanks only within a line: `\s` would go through all that follow, from each of them.
  const head = text.slice(0, MAX_HEAD_LENGTH);
  const status = /^[ \t]*HTTP\/1\.[01] (\d{3})/m.exec(head)?.[1];
  if (status === undefined) return undefined;
  const instanceId = new RegExp(`^[ \\t]*${INSTANCE_HEADER}: *(\\S+)`, 'im').exec(head)?.[1] ?? '';
  return { status: Number(status), instanceId };
}

/** Reads what a run of {@link probe} printed as JSON; undefined when it is not that. */
export function parseProbeOutcome(text: string): ProbeOutcome | undefined {
  try {
    const outcome = JSON.parse(text) as Partial<Record<'status' | 'instanceId' | 'failure', unknown>> | null;
    if (typeof outcome?.failure === 'string') return { failure: outcome.failure };
    if (typeof outcome?.status !== 'number' || typeof outcome.instanceId !== 'string') return undefined;
    return { status: outcome.status, instanceId: outcome.instanceId };
  } catch {
    return undefined;
  }
}
