import type { MonitorStatus } from '@msi-proxy/shared';

/** What is told of one thing: its name, and the words that tell how it is. */
type States = ReadonlyMap<string, { readonly what: string; readonly state: string }>;

/** What differs between two statuses, a line for each thing; everything, when there was none before. */
export function statusChanges(before: MonitorStatus | undefined, after: MonitorStatus): string[] {
  const old = before === undefined ? new Map<string, never>() : statesOf(before);
  const current = statesOf(after);
  const changed = [...current].flatMap(([key, { what, state }]) => {
    const previous = old.get(key);
    if (previous?.state === state) return [];
    return [previous === undefined ? `${what}: ${state}` : `${what}: ${previous.state} → ${state}`];
  });
  const gone = [...old]
    .filter(([key]) => !current.has(key))
    .map(([, { what, state }]) => `${what}: ${state} → gone`);
  return [...changed, ...gone];
}

function statesOf({ engine, guard, proxies, clients }: MonitorStatus): States {
  return new Map([
    [
      'engine',
      {
        what: 'engine',
        state: withReason(engine.state, engine.state === 'connected' ? undefined : engine.lastError),
      },
    ],
    ['guard', { what: 'guard', state: withReason(guard.state, guard.reason) }],
    ...proxies.map(
      ({ containerId, name, state, reason }) =>
        [`proxy ${containerId}`, { what: `proxy ${name}`, state: withReason(state, reason) }] as const,
    ),
    ...clients.map(
      ({ containerId, name, state, reason }) =>
        [`client ${containerId}`, { what: `client ${name}`, state: withReason(state, reason) }] as const,
    ),
  ]);
}

function withReason(state: string, reason: string | undefined): string {
  return reason === undefined ? state : `${state} (${reason})`;
}
