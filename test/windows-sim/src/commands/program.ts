import type { Speaker, TextName } from '../language.ts';
import type { Machine } from '../machine/machine.ts';
import { WindowsError } from '../machine/windows-error.ts';

/** Who runs a program. Administrators of a container may change its network. */
export type User = 'ContainerAdministrator' | 'ContainerUser';

export interface ProgramContext {
  readonly machine: Machine;
  readonly user: User;
  /** Runs another program of the container, by name. */
  readonly run: (name: string, argv: readonly string[]) => Promise<ProgramOutput | undefined>;
}

/** What a program printed; lines end with `\n` here, and with `\r\n` when they leave the container. */
export interface ProgramOutput {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export type Program = (argv: readonly string[], context: ProgramContext) => Promise<ProgramOutput>;

/** Something that Windows may know and this simulation does not: never accepted silently. */
export class NotSimulated extends Error {
  override readonly name = 'NotSimulated';

  constructor(what: string) {
    super(`not simulated: ${what}`);
  }
}

/** A program ends because of its arguments or of what they ask for. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly texts: readonly string[];
  readonly exitCode: number;

  constructor(exitCode: number, ...texts: readonly string[]) {
    super(texts.join(' '));
    this.exitCode = exitCode;
    this.texts = texts;
  }
}

export function printed(...lines: readonly string[]): ProgramOutput {
  return { exitCode: 0, stdout: lines.map(line => `${line}\n`).join(''), stderr: '' };
}

export function failed(exitCode: number, ...lines: readonly string[]): ProgramOutput {
  return { ...printed(...lines), exitCode };
}

/** Refusals become what the program prints. These programs print errors to standard output. */
export function program(
  main: Program,
  describe: (error: WindowsError, say: Speaker) => readonly string[],
): Program {
  return async (argv, context) => {
    try {
      return await main(argv, context);
    } catch (error) {
      if (error instanceof Refusal) return failed(error.exitCode, ...error.texts);
      if (error instanceof WindowsError) return failed(error.number, ...describe(error, context.machine.say));
      throw error;
    }
  };
}

/** @throws {Refusal} with a text for those who may not change the network */
export function requireAdministrator({ user, machine }: ProgramContext, text: TextName): void {
  if (user !== 'ContainerAdministrator') throw new Refusal(1, machine.say(text), '');
}
