export { EventRing } from './event-ring.ts';
export { fetchStatus } from './fetch-status.ts';
export { formatStatus } from './format-status.ts';
export { StatusServer, type StatusServerOptions } from './status-server.ts';
export type { Readiness, StatusSource } from './status-source.ts';
