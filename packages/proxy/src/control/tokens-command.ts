import { connect } from 'node:net';
import type { Writable } from 'node:stream';
import {
  encodeMessage,
  MessageDecoder,
  messageOf,
  MsiProxyError,
  PROXY_MESSAGE_TYPES,
  type Clock,
  type FlushTokens,
  type ListTokens,
  type ProxyMessage,
  type Tokens,
  type TokensFlushed,
  type TokenSummary,
} from '@msi-proxy/shared';

export interface TokensCommandOptions {
  readonly socketPath: string;
  readonly clock: Clock;
  readonly stdout: Writable;
}

const ANSWER_TIMEOUT_MILLIS = 5_000;

/**
 * `msi-proxy tokens`: prints what the server's token cache holds.
 *
 * @throws {MsiProxyError} `MSI_CONTROL_UNAVAILABLE`
 */
export async function listTokens(
  { socketPath, clock, stdout }: TokensCommandOptions,
  format: 'json' | 'table',
): Promise<void> {
  const { tokens } = await ask<Tokens>(socketPath, clock, { type: 'list-tokens' }, 'tokens');
  stdout.write(format === 'json' ? `${JSON.stringify(tokens, undefined, 2)}\n` : tableOf(tokens));
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

async function ask<Answer extends ProxyMessage>(
  socketPath: string,
  clock: Clock,
  request: ListTokens | FlushTokens,
  type: Answer['type'],
): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const fail = (cause: unknown) => {
    const text = `No answer of the proxy at ${socketPath}: ${messageOf(cause)}`;
    reject(new MsiProxyError('MSI_CONTROL_UNAVAILABLE', text, { cause }));
  };
  const decoder = new MessageDecoder<ProxyMessage>(PROXY_MESSAGE_TYPES);
  const socket = connect(socketPath);
  const timer = clock.setTimer(() => fail(new Error('it takes too long')), ANSWER_TIMEOUT_MILLIS);
  socket.on('error', fail);
  socket.on('close', () => fail(new Error('it closed the connection')));
  socket.on('data', (chunk: Buffer) => {
    try {
      const answer = decoder.push(chunk).find((message): message is Answer => message.type === type);
      if (answer !== undefined) resolve(answer);
    } catch (error) {
      fail(error);
    }
  });
  socket.write(encodeMessage(request));
  try {
    return await promise;
  } finally {
    timer.cancel();
    socket.destroy();
  }
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
