import type { ProgramContext, ProgramOutput } from './program.ts';

/** `curl.exe` is curl. */
export async function curl(argv: readonly string[], { machine }: ProgramContext): Promise<ProgramOutput> {
  const { exitCode, stdout, stderr } = await machine.curl(argv);
  return { exitCode, stdout: stdout.replaceAll('\r\n', '\n'), stderr };
}
