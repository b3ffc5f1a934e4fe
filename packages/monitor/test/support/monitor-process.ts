import assert from 'node:assert/strict';
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';

const MAIN = join(import.meta.dirname, '../../src/main.ts');

/** Starts the monitor's program from its sources. */
export const MONITOR_ARGV = [process.execPath, '--conditions=@msi-proxy/source', MAIN] as const;

export interface MonitorProcess {
  readonly child: ChildProcessByStdio<null, Readable, null>;
  /** Exit code and signal. */
  readonly ended: Promise<unknown[]>;
  /** Waits for a line of its output. @throws when it ends before */
  readonly untilLine: (wanted: RegExp) => Promise<void>;
}

/** The monitor as a process of its own, in the network namespace of the tests. */
export function startMonitorProcess(args: readonly string[], environment: NodeJS.ProcessEnv): MonitorProcess {
  const [node, ...options] = MONITOR_ARGV;
  const child = spawn(node, [...options, ...args], {
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const untilLine = async (wanted: RegExp) => {
    for (;;) {
      const { done, value } = await lines.next();
      assert.notEqual(done, true, `it ended before ${String(wanted)}`);
      if (wanted.test(String(value))) return;
    }
  };
  return { child, ended: once(child, 'exit'), untilLine };
}
