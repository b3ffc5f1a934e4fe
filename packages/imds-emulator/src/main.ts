#!/usr/bin/env node
import { EXIT_FAILURE } from '@msi-proxy/shared';
import { runCli } from './cli.ts';
import { VERSION } from './version.ts';

const stopping = new AbortController();
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.on(signal, () => {
    if (stopping.signal.aborted) process.exit(EXIT_FAILURE);
    stopping.abort();
  });
}

process.exitCode = await runCli({
  argv: process.argv.slice(2),
  environment: process.env,
  stdout: process.stdout,
  stderr: process.stderr,
  version: VERSION,
  platform: process.platform,
  // On Windows it means that the console was closed, which ends the process whatever it does.
  onReload: reload => {
    if (process.platform !== 'win32') process.on('SIGHUP', reload);
  },
  signal: stopping.signal,
});
