import { cmd } from './commands/cmd.ts';
import { curl } from './commands/curl.ts';
import { ipconfig } from './commands/ipconfig.ts';
import { net } from './commands/net.ts';
import { netsh } from './commands/netsh.ts';
import { netstat } from './commands/netstat.ts';
import {
  NotSimulated,
  type Program,
  type ProgramContext,
  type ProgramOutput,
  type User,
} from './commands/program.ts';
import { route } from './commands/route.ts';
import { sc } from './commands/sc.ts';
import type { Machine } from './machine/machine.ts';
import { programName } from './program-name.ts';
import { powershell } from './powershell/powershell.ts';

const PROGRAMS: Readonly<Record<string, Program>> = {
  cmd,
  curl,
  ipconfig,
  net,
  netsh,
  netstat,
  powershell,
  route,
  sc,
};

/** What programs end with when they are asked for something that is not simulated. */
export const NOT_SIMULATED_EXIT_CODE = 250;

/** Runs a program of the simulated container, which may run others. Undefined when it has none of that name. */
export async function runProgram(
  machine: Machine,
  caller: User,
  name: string,
  argv: readonly string[],
): Promise<ProgramOutput | undefined> {
  const user = machine.switches.rights === 'user' ? 'ContainerUser' : caller;
  const context: ProgramContext = {
    machine,
    user,
    run: async (innerName, innerArgv) => await runOne(innerName, innerArgv, context),
  };
  try {
    return await runOne(name, argv, context);
  } catch (error) {
    if (!(error instanceof NotSimulated)) throw error;
    return { exitCode: NOT_SIMULATED_EXIT_CODE, stdout: '', stderr: `${error.message}\n` };
  }
}

async function runOne(
  name: string,
  argv: readonly string[],
  context: ProgramContext,
): Promise<ProgramOutput | undefined> {
  const plain = programName(name);
  if (context.machine.switches.missing.includes(plain)) return undefined;
  return Object.hasOwn(PROGRAMS, plain) ? await PROGRAMS[plain]!(argv, context) : undefined;
}
