import { readFileSync, rmSync, writeFileSync } from 'node:fs';

const POLICY_FILE = '/usr/sbin/policy-rc.d';

/** By which a policy that an interrupted run left behind is known. */
const MARK = '# Of msi-proxy:';

/**
 * Keeps packages from starting their services while the action runs (Debian Policy 9.11.3): an engine in the machine's
 * own network namespace would change the machine's packet rules. A policy of somebody else stays as it is.
 */
export async function withoutStartingServices<T>(
  action: () => Promise<T>,
  policyFile = POLICY_FILE,
): Promise<T> {
  const found = textOf(policyFile);
  if (found !== undefined && !found.includes(MARK)) return await action();
  const policy = policyWhileRunning(process.pid);
  // Only a new file gets the mode.
  rmSync(policyFile, { force: true });
  writeFileSync(policyFile, policy, { mode: 0o755 });
  try {
    return await action();
  } finally {
    // Another run may have put its own in the place of this one.
    if (textOf(policyFile) === policy) rmSync(policyFile);
  }
}

/** Forbids only as long as the process lives: whoever is killed takes nothing back. */
function policyWhileRunning(pid: number): string {
  return [
    '#!/bin/sh',
    `${MARK} no services are started while process ${pid} installs packages. To be removed if it is still here.`,
    `[ "$(cut -d ' ' -f 22 /proc/${pid}/stat 2>/dev/null)" = ${startTicksOf(pid)} ] && exit 101`,
    'exit 0',
    '',
  ].join('\n');
}

/** Tells a process from a later one of the same number. */
function startTicksOf(pid: number): string {
  return readFileSync(`/proc/${pid}/stat`, 'utf8').split(' ')[21]!;
}

function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
