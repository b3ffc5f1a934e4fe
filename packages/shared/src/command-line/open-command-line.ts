import { EXIT_OK, EXIT_USAGE } from '../errors/exit-codes.ts';
import type { Environment } from '../settings/read-settings.ts';
import { COMPLETE_COMMAND } from './built-in-commands.ts';
import { parseCommandLine, type CommandLine } from './parse-command-line.ts';
import type { CompletionSources, Invocation, ProgramDefinition } from './program.ts';

export interface CommandLineOptions {
  /** Without the program's own name. */
  readonly argv: readonly string[];
  readonly version: string;
  /** What settings are shown from, where they are to be. */
  readonly environment: Environment;
  /** As Node names it. */
  readonly platform: string;
  readonly stdout: TextOutput;
  readonly stderr: Pick<TextOutput, 'write'>;
  readonly completions?: CompletionSources;
}

/** What text is written to; a terminal tells its width. */
export interface TextOutput {
  write(text: string): unknown;
  /** In characters. */
  readonly columns?: number | undefined;
}

const MAX_HELP_WIDTH = 100;
const MIN_HELP_WIDTH = 40;

/**
 * Reads a program's command line. What every program does alike (help, version, completion, and saying what is wrong) is
 * done here, and is loaded only then, because some commands are run often and must start fast.
 *
 * @returns the command to run, or the exit code when nothing is left to do
 */
export async function openCommandLine<Program extends ProgramDefinition>(
  program: Program,
  options: CommandLineOptions,
): Promise<Invocation<Program> | number> {
  const { argv, version, stdout, stderr, completions } = options;
  if (argv[0] === COMPLETE_COMMAND) {
    const { complete } = await import('./complete.ts');
    for (const { word, summary } of await complete(program, argv.slice(1), completions)) {
      stdout.write(summary === undefined ? `${word}\n` : `${word}\t${summary}\n`);
    }
    return EXIT_OK;
  }
  const commandLine: CommandLine<Program> = parseCommandLine(program, argv);
  switch (commandLine.kind) {
    case 'invocation': {
      const { invocation } = commandLine;
      if (invocation.settings.print === undefined) return invocation;
      const { showSettings } = await import('./show-settings.ts');
      return await showSettings(program, invocation, options);
    }
    case 'version':
      stdout.write(`${version}\n`);
      return EXIT_OK;
    case 'help':
    case 'nothing': {
      const { commandHelp, programHelp } = await import('./help-page.ts');
      const width = Math.max(MIN_HELP_WIDTH, Math.min(stdout.columns ?? 80, MAX_HELP_WIDTH));
      const named = commandLine.kind === 'help' ? commandLine.command : undefined;
      stdout.write(
        named === undefined ? programHelp(program, { width }) : commandHelp(program, named, { width }),
      );
      return commandLine.kind === 'help' ? EXIT_OK : EXIT_USAGE;
    }
    case 'completion': {
      const { completionScript } = await import('./completion-script.ts');
      stdout.write(completionScript(program.name, commandLine.forShell));
      return EXIT_OK;
    }
    case 'usage-problem': {
      const { problem, command } = commandLine;
      const words = [program.name, ...(command === undefined ? [] : [command]), '--help'].join(' ');
      stderr.write(`MSI_USAGE: ${problem}; see ${words}\n`);
      return EXIT_USAGE;
    }
  }
}
