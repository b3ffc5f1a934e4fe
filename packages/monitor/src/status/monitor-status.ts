import { printable, summarizePolicy, type ClientStatus, type MonitorStatus } from '@msi-proxy/shared';
import type { DesiredClient } from '../reconcile/desired-state.ts';
import type { Reconciler } from '../reconcile/reconciler.ts';
import type { EventJournal } from './event-journal.ts';

export interface MonitorStatusOptions {
  readonly reconciler: Reconciler;
  readonly journal: EventJournal;
  readonly version: string;
  readonly startedAtMillis: number;
  readonly hostname?: string;
}

/** Everything that the monitor can tell about itself and the containers, at this moment. */
export function monitorStatus({
  reconciler,
  journal,
  version,
  startedAtMillis,
  hostname,
}: MonitorStatusOptions): MonitorStatus {
  const kept = reconciler.proxies.tokens;
  return {
    version,
    ...(hostname !== undefined && { hostname }),
    startedAt: new Date(startedAtMillis).toISOString(),
    engine: reconciler.engineStatus,
    guard: reconciler.rules.status,
    proxies: reconciler.proxies.status(),
    clients: reconciler.desired.clients
      .map(client => clientStatus(client, reconciler))
      .sort((a, b) => a.name.localeCompare(b.name)),
    ...(kept !== undefined && { tokens: kept.tokens }),
    events: journal.events,
  };
}

function clientStatus({ container, addresses, plan }: DesiredClient, reconciler: Reconciler): ClientStatus {
  const facts = {
    containerId: container.id,
    name: printable(container.name),
    image: printable(container.image),
    startedAt: container.startedAt,
    addresses,
  };
  if (plan.kind === 'refuse')
    return { ...facts, state: 'refused', since: container.startedAt, reason: plan.reason };
  const traffic = reconciler.proxies.trafficOf(plan.namespace.containerId);
  const tokens = reconciler.proxies.tokens?.byContainer.get(plan.namespace.containerId);
  const record = reconciler.wiring.recordOf(plan.namespace);
  return {
    ...facts,
    state: record?.state ?? 'pending',
    since: record === undefined ? container.startedAt : new Date(record.sinceMillis).toISOString(),
    ...(record?.reason !== undefined && { reason: record.reason }),
    ...(record?.method !== undefined && { method: record.method }),
    ...(record?.wiredAfterMillis !== undefined && { wiredAfterMillis: record.wiredAfterMillis }),
    policy: summarizePolicy(plan.policy),
    ...(traffic !== undefined && { traffic }),
    ...(tokens !== undefined && { tokens }),
  };
}
