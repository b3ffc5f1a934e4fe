import type { ErrorCode } from './codes.ts';

export interface ErrorContext {
  readonly cause?: unknown;
  /** Facts for the log line. Never secrets: they are printed as they are. */
  readonly details?: Readonly<Record<string, string | number | boolean | readonly string[]>>;
}

/** An expected failure, told apart by its stable {@link code}. What is thrown otherwise is a bug. */
export class MsiProxyError extends Error {
  override readonly name: string = 'MsiProxyError';
  readonly code: ErrorCode;
  readonly details: NonNullable<ErrorContext['details']>;

  constructor(code: ErrorCode, message: string, { cause, details = {} }: ErrorContext = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.details = details;
  }
}

/** The text of anything that was thrown, for messages; errors of Node and of ours alike. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** The code of anything that was thrown (`ENOENT`, `MSI_…`), if it has one. */
export function codeOf(thrown: unknown): string | undefined {
  if (typeof thrown !== 'object' || thrown === null || !('code' in thrown)) return undefined;
  return typeof thrown.code === 'string' ? thrown.code : undefined;
}
