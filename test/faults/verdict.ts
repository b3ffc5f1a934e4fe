import { type LoadRequest } from './load.ts';

/** Milliseconds since the epoch. */
export interface Window {
  readonly from: number;
  readonly to: number;
}

export interface LoadRecord {
  /** What the container may get; `undefined` for one that may get nothing. */
  readonly objectId: string | undefined;
  readonly requests: readonly LoadRequest[];
}

export interface Verdict {
  readonly requests: number;
  readonly failures: number;
  /** Failures of requests that did not touch a window in which failures are excused, nor the second after it. */
  readonly failuresOutside: number;
  /** The first of them, in words. */
  readonly examples: readonly string[];
  /** How often each outcome but 200 was seen by clients. */
  readonly outcomes: Readonly<Record<string, number>>;
  /** Longest time without an answer that a client saw. */
  readonly longestOutageMillis: number;
  /** Tokens of another identity than the caller's. */
  readonly wrongIdentities: number;
  /** Tokens given to the container without the label. */
  readonly strangersServed: number;
}

const GRACE_MILLIS = 1_000;
const EXAMPLES = 3;

/** What clients saw, against what they may see. */
export function judge(loads: readonly LoadRecord[], excused: readonly Window[]): Verdict {
  const clients = loads.filter(({ objectId }) => objectId !== undefined);
  const strangers = loads.filter(({ objectId }) => objectId === undefined);
  const requests = clients.flatMap(load => load.requests);
  const failures = requests.filter(({ outcome }) => outcome !== '200');
  const outside = failures.filter(request => !excused.some(window => touches(request, window)));
  const outcomes: Record<string, number> = {};
  for (const { outcome } of failures) outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
  return {
    requests: requests.length,
    failures: failures.length,
    failuresOutside: outside.length,
    examples: outside.slice(0, EXAMPLES).map(describeRequest),
    outcomes,
    longestOutageMillis: Math.max(0, ...clients.map(longestOutageOf)),
    wrongIdentities: clients.reduce(
      (sum, { objectId, requests: own }) =>
        sum + own.filter(({ outcome, objectId: got }) => outcome === '200' && got !== objectId).length,
      0,
    ),
    strangersServed: strangers.flatMap(load => load.requests).filter(({ outcome }) => outcome === '200')
      .length,
  };
}

function touches({ beganAt, endedAt }: LoadRequest, { from, to }: Window): boolean {
  return beganAt <= to + GRACE_MILLIS && endedAt >= from;
}

function longestOutageOf({ requests }: LoadRecord): number {
  const served = requests
    .filter(({ outcome }) => outcome === '200')
    .map(({ endedAt }) => endedAt)
    .toSorted((a, b) => a - b);
  return Math.max(0, ...served.slice(1).map((endedAt, index) => endedAt - served[index]!));
}

function describeRequest({ beganAt, endedAt, outcome }: LoadRequest): string {
  return `${outcome} at ${new Date(beganAt).toISOString()} after ${endedAt - beganAt} ms`;
}
