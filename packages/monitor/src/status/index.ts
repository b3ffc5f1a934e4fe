export { fetchStatus } from './fetch-status.ts';
export { formatStatus } from './format-status.ts';
export {
  createStatusServer,
  type Readiness,
  type StatusServer,
  type StatusServerOptions,
} from './status-server.ts';
