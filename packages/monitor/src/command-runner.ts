export interface CommandResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  readonly stdin?: string;
  readonly timeoutMillis?: number;
}

/** Runs programs. An argv array, never a shell: ids, names and labels are hostile input. */
export interface CommandRunner {
  /**
   * @returns the result, also when the exit code is not 0
   * @throws {MsiProxyError} `MSI_WIRING_COMMAND` when the program cannot be started or exceeds its time;
   *   `MSI_WIRING_NO_CAPABILITY` when it is not installed
   */
  run(file: string, argv: readonly string[], options?: CommandOptions): Promise<CommandResult>;
}
