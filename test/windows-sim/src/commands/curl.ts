import { localCommandRunner } from '@msi-proxy/shared';
import type { ProgramOutput } from './program.ts';

const TIMEOUT_MILLIS = 60_000;

/** `curl.exe` is curl: the one of the Linux image, with real traffic. */
export async function curl(argv: readonly string[]): Promise<ProgramOutput> {
  const { exitCode, stdout, stderr } = await localCommandRunner.run('curl', argv, {
    timeoutMillis: TIMEOUT_MILLIS,
  });
  return { exitCode, stdout: stdout.replaceAll('\r\n', '\n'), stderr };
}
