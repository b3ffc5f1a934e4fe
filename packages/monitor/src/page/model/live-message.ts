import type { ClientStatus, MonitorStatus } from '@msi-proxy/shared';

/** The events of the monitor's stream `/api/events`. */
export const LIVE_EVENTS = {
  /** The whole status, as the first event and whenever a reader has fallen behind. */
  status: 'status',
  /** {@link StatusChanges} against what was sent before. */
  changes: 'changes',
  /** {@link Beat}: nothing has changed, and the stream lives. */
  beat: 'beat',
} as const;

/** Sent this often at least. */
export const BEAT_INTERVAL_MILLIS = 5_000;

/** What differs from the status that was sent before. */
export interface StatusChanges {
  /** Everything but the clients, as far as it differs; `null` for what is absent now. */
  readonly sections: Readonly<Record<string, unknown>>;
  readonly clients: readonly ClientStatus[];
  /** Container ids. */
  readonly gone: readonly string[];
}

/** Ages are told against the monitor's clock: the browser may be on another machine. */
export interface Beat {
  readonly nowMillis: number;
}

/** The status after these changes. */
export function applyChanges(status: MonitorStatus, changes: StatusChanges): MonitorStatus {
  const clients = new Map(status.clients.map(client => [client.containerId, client]));
  for (const containerId of changes.gone) clients.delete(containerId);
  for (const client of changes.clients) clients.set(client.containerId, client);
  const sections = Object.entries<unknown>({ ...status, ...changes.sections }).filter(
    ([, value]) => value !== null,
  );
  return { ...(Object.fromEntries(sections) as unknown as MonitorStatus), clients: [...clients.values()] };
}
