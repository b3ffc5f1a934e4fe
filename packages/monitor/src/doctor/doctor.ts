import {
  EXIT_FAILURE,
  EXIT_OK,
  EXIT_WARNING,
  localCommandRunner,
  silentLogger,
  systemClock,
} from '@msi-proxy/shared';
import type { MonitorSettings } from '../config.ts';
import { createEngineClient } from '../docker/index.ts';
import { readTextFile } from '../read-text-file.ts';
import { fetchStatus } from '../status/index.ts';
import { createClientNamespaces } from '../wiring/client-namespace.ts';
import { createNamespaceProbe } from '../wiring/namespace-probe.ts';
import type { Terminal } from '../terminal/terminal.ts';
import { CHECKS } from './checks/index.ts';
import { createFacts, type Subject } from './facts.ts';
import { formatOutcome, worstOf } from './report.ts';
import { runChecks } from './run-checks.ts';

export interface DoctorOptions {
  readonly settings: MonitorSettings;
  readonly subject: Subject;
  readonly version: string;
  /** As Node names it. */
  readonly platform: string;
  /** This program's command `probe`. */
  readonly probeArgv: readonly [file: string, ...argv: string[]];
  readonly format: 'json' | 'text';
  readonly terminal: Terminal;
}

/**
 * `msi-monitor doctor`: asks one thing after another, and tells each as soon as it is known.
 *
 * @returns the exit code, by the worst result
 */
export async function runDoctor(options: DoctorOptions): Promise<number> {
  const { settings, subject, version, platform, probeArgv, format, terminal } = options;
  const facts = createFacts({
    settings,
    subject,
    version,
    platform,
    probe: createNamespaceProbe(probeArgv),
    runner: localCommandRunner,
    engine: createEngineClient({
      dockerHost: settings.dockerHost,
      logger: silentLogger,
      timeouts: { callMillis: 5_000 },
    }),
    namespaces: createClientNamespaces({ runner: localCommandRunner }),
    readText: readTextFile,
    fetchStatus: () => fetchStatus(settings.listen),
  });
  const outcomes = await runChecks({
    checks: CHECKS,
    facts,
    clock: systemClock,
    onOutcome: outcome => {
      if (format === 'text') terminal.write(formatOutcome(outcome, terminal));
    },
  });
  const worst = worstOf(outcomes);
  if (format === 'json')
    terminal.write(`${JSON.stringify({ result: worst, checks: outcomes }, undefined, 2)}\n`);
  return { ok: EXIT_OK, skipped: EXIT_OK, warning: EXIT_WARNING, failed: EXIT_FAILURE }[worst];
}
