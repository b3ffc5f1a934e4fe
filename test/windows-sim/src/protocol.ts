import type { User } from './commands/program.ts';

/** Where the container's first process waits for its programs. */
export const SOCKET_PATH = '/run/windows-sim.sock';

/** A program was started: one line of JSON, from the program to the first process. */
export interface ProgramRequest {
  readonly name: string;
  readonly argv: readonly string[];
  readonly user: User;
}

/** What it is to print, in the code page of the container, and to end with: one line of JSON back. */
export interface ProgramResponse {
  readonly exitCode: number;
  readonly stdoutBase64: string;
  readonly stderrBase64: string;
}
