import { spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { localCommandRunner, systemClock } from '@msi-proxy/shared';
import { localLinuxNetwork } from './machine/linux-network.ts';
import { Machine } from './machine/machine.ts';
import type { PortProxyRule, RuleStore } from './machine/port-proxy.ts';
import { openRelay } from './machine/relay.ts';
import { createProgramServer } from './program-server.ts';
import { SOCKET_PATH } from './protocol.ts';
import { readSwitches } from './switches.ts';

/** The registry's part for the port proxy, in the layer of the container: it outlives a restart. */
const RULES_FILE = '/var/lib/windows-sim/portproxy.json';

const CURL_TIMEOUT_MILLIS = 60_000;

/** Starts the simulated container, and in it the command that it is for. Resolves with the command's exit code. */
export async function boot(command: readonly string[], programFolder: string): Promise<number> {
  const switches = readSwitches(process.env);
  for (const name of switches.missing) {
    for (const file of [name, `${name}.exe`]) rmSync(join(programFolder, file), { force: true });
  }
  const machine = new Machine({
    switches,
    linux: localLinuxNetwork(localCommandRunner, systemClock),
    clock: systemClock,
    rules: fileRuleStore(RULES_FILE),
    openRelay,
    curl: async argv => await localCommandRunner.run('curl', argv, { timeoutMillis: CURL_TIMEOUT_MILLIS }),
  });
  await machine.boot();
  rmSync(SOCKET_PATH, { force: true });
  await new Promise<void>(resolve => createProgramServer(machine).listen(SOCKET_PATH, resolve));
  // Every user of the container may start programs.
  chmodSync(SOCKET_PATH, 0o666);
  return await runCommand(command);
}

async function runCommand([file, ...argv]: readonly string[]): Promise<number> {
  if (file === undefined) throw new Error('no command for the container');
  const child = spawn(file, argv, { stdio: 'inherit' });
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => child.kill(signal));
  return await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', code => resolve(code ?? 1));
  });
}

function fileRuleStore(file: string): RuleStore {
  return {
    load: () => (existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as PortProxyRule[]) : []),
    save(rules) {
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, JSON.stringify(rules));
    },
  };
}
