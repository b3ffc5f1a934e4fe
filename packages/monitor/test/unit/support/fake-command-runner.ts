import {
  type CommandOptions,
  type CommandResult,
  type CommandRunner,
  MsiProxyError,
} from '@msi-proxy/shared';

type Response = Partial<CommandResult> | Error;

export interface FakeCommandRunner extends CommandRunner {
  /** Each command as one line, in order. */
  readonly commands: readonly string[];
  /** What the commands were given on standard input, in order. */
  readonly inputs: readonly string[];
  /** Forgets what was run so far. */
  forget(): void;
}

/** Answers commands, given as one line, as told; those it is told nothing about succeed and print nothing. */
export function fakeCommandRunner(
  respond: (command: string, stdin: string) => Response | undefined = () => undefined,
): FakeCommandRunner {
  const commands: string[] = [];
  const inputs: string[] = [];
  return {
    commands,
    inputs,
    forget() {
      commands.length = 0;
      inputs.length = 0;
    },
    async run(file: string, argv: readonly string[], { stdin = '' }: CommandOptions = {}) {
      await Promise.resolve();
      const command = [file, ...argv].join(' ');
      commands.push(command);
      inputs.push(stdin);
      const response = respond(command, stdin) ?? {};
      if (response instanceof Error) throw response;
      return { exitCode: 0, stdout: '', stderr: '', ...response };
    },
  };
}

export function notInstalled(program: string): MsiProxyError {
  return new MsiProxyError('MSI_WIRING_NO_CAPABILITY', `The program ${program} is not installed`);
}
