export { MONITOR_SETTINGS, type MonitorSettings } from './config.ts';
export { run, type RunningMonitor, type RunOptions } from './run.ts';
