export { fetchStatus } from './fetch-status.ts';
export { formatStatus, type FormatStatusOptions } from './format-status.ts';
export {
  createStatusServer,
  type Readiness,
  type StatusServer,
  type StatusServerOptions,
} from './status-server.ts';
export { watchStatus, type WatchStatusOptions } from './watch-status.ts';
