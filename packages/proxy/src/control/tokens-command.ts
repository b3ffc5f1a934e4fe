import type { Writable } from 'node:stream';
import type { Clock, FlushTokens, Tokens, TokensFlushed, TokenSummary } from '@msi-proxy/shared';
import { ask } from './ask.ts';

export interface TokensCommandOptions {
  readonly socketPath: string;
  readonly clock: Clock;
  readonly stdout: Writable;
}

/**
 * `msi-proxy tokens`: prints what the server's token cache holds.
 *
 * @throws {MsiProxyError} `MSI_CONTROL_UNAVAILABLE`
 */
export async function listTokens(
  { socketPath, clock, stdout }: TokensCommandOptions,
  format: 'json' | 'table',
): Promise<void> {
  const { tokens, more } = await ask<Tokens>(socketPath, clock, { type: 'list-tokens' }, 'tokens');
  if (format === 'json') {
    stdout.write(`${JSON.stringify(tokens, undefined, 2)}\n`);
    return;
  }
  stdout.write(tableOf(tokens));
  if (more !== undefined) stdout.write(`… and ${more} more, used longer ago.\n`);
}

/**
 * `msi-proxy tokens flush`: empties it.
 *
 * @throws {MsiProxyError} `MSI_CONTROL_UNAVAILABLE`
 */
export async function flushTokens(
  { socketPath, clock, stdout }: TokensCommandOptions,
  identity: FlushTokens['identity'],
): Promise<void> {
  const request: FlushTokens = { type: 'flush-tokens', ...(identity && { identity }) };
  const { count } = await ask<TokensFlushed>(socketPath, clock, request, 'tokens-flushed');
  stdout.write(`${count} ${count === 1 ? 'token was' : 'tokens were'} dropped\n`);
}

function tableOf(tokens: readonly TokenSummary[]): string {
  if (tokens.length === 0) return 'No token is kept.\n';
  const rows = tokens.map(({ identity = '(chosen by IMDS)', resource, ageSeconds, expiresAt, hits }) => [
    identity,
    resource,
    `${ageSeconds} s`,
    expiresAt.replace(/\.\d+Z$/, 'Z'),
    String(hits),
  ]);
  const table = [['IDENTITY', 'RESOURCE', 'AGE', 'EXPIRES', 'HITS'], ...rows];
  const widths = table[0]!.map((_, column) => Math.max(...table.map(row => row[column]!.length)));
  return table
    .map(row =>
      row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    )
    .map(line => `${line}\n`)
    .join('');
}
