/** A proxy as the election sees it. */
export interface Candidate {
  readonly containerId: string;
  readonly startedAt: string;
  /** Why it cannot serve at the moment; `undefined` when it can. */
  readonly obstacle: string | undefined;
  /**
   * It has lost its control session, which an engine that restarts takes along, or its next one has not set its route again
   * yet, but its server still accepts.
   */
  readonly isReachable: boolean;
}

/**
 * Chooses the proxy that serves. The one that does goes on as long as it can, since a change costs its clients their
 * connections; otherwise the one that has run longest, which all monitors would agree on. Where none can serve, the
 * current one stays if it is reachable: it holds requests until its session is back, and nobody else would.
 */
export function electServing<T extends Candidate>(
  candidates: readonly T[],
  current: T | undefined,
): T | undefined {
  const able = candidates.filter(({ obstacle }) => obstacle === undefined);
  if (current !== undefined && able.includes(current)) return current;
  const [longest] = able.sort(
    (a, b) => compare(a.startedAt, b.startedAt) || compare(a.containerId, b.containerId),
  );
  if (longest !== undefined) return longest;
  return current?.isReachable === true && candidates.includes(current) ? current : undefined;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
