#!/usr/bin/env node
import { setFlagsFromString } from 'node:v8';
import { EXIT_FAILURE, LAST_LINES_MILLIS, systemClock } from '@msi-proxy/shared';
import { runCli } from './cli.ts';
import { VERSION } from './version.ts';

// What lives is some 15 MB, and V8 would let garbage of 30 MB gather beside it (docs/benchmarks.md).
setFlagsFromString('--heap-growing-percent=50');

// A log that cannot be written, on a full disk or to a reader that has gone, must not end what containers depend on.
process.stdout.on('error', () => undefined);

const stopping = new AbortController();

process.exitCode = await runCli({
  argv: process.argv.slice(2),
  environment: process.env,
  stdout: process.stdout,
  stderr: process.stderr,
  version: VERSION,
  platform: process.platform,
  selfArgv: [process.execPath, ...process.execArgv, process.argv[1] ?? ''],
  processUsage: () => {
    const { user, system } = process.cpuUsage();
    return { residentBytes: process.memoryUsage.rss(), cpuMicros: user + system };
  },
  // Windows has no such signal; there nothing ever calls.
  onDebugSwitch: toggle => process.on('SIGUSR2', toggle),
  // There it means that the console was closed, which ends the process whatever it does.
  onReload: reload => {
    if (process.platform !== 'win32') process.on('SIGHUP', reload);
  },
  onStop: stop => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.on(signal, () => {
        if (stopping.signal.aborted) process.exit(EXIT_FAILURE);
        stopping.abort();
        stop();
      });
    }
  },
});
// Not `process.exit`: what is still being written to the log must arrive. Unless nobody reads it.
if (stopping.signal.aborted) systemClock.setTimer(() => process.exit(), LAST_LINES_MILLIS);
