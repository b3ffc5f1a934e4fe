import { STATUS_CODES, type ServerResponse } from 'node:http';
import { CLOSE_LINE, KEEP_ALIVE_LINES } from './keep-alive.ts';
import type { LocalAnswer } from './local-answer.ts';

// SDKs look for "IMDS" here to tell it from other things that may answer at the address (MSAL.NET's probe does).
export const SERVER_HEADER = 'IMDS (msi-proxy)';

export interface SendOptions {
  /** Ends the connection after this answer. */
  readonly close: boolean;
}

/** Sends an answer of the proxy's own. */
export function sendLocalAnswer(response: ServerResponse, answer: LocalAnswer, { close }: SendOptions): void {
  const body = Buffer.from(answer.body);
  response.writeHead(answer.status, {
    Server: SERVER_HEADER,
    ...answer.headers,
    'Content-Length': body.length,
    ...(close && { Connection: 'close' }),
  });
  response.end(body);
}

/** The whole answer, one character a byte, as {@link sendLocalAnswer} makes Node send it. */
export function localWireText({ status, headers, body }: LocalAnswer, { close }: SendOptions): string {
  const bytes = Buffer.from(body);
  const all = { Server: SERVER_HEADER, ...headers, 'Content-Length': bytes.length };
  const ends = close || headers['Connection'] === 'close';
  const lines = Object.entries(all)
    .filter(([name]) => name !== 'Connection')
    .map(([name, value]) => `${name}: ${value}\r\n`);
  const head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${lines.join('')}`;
  const date = `Date: ${new Date().toUTCString()}\r\n`;
  return `${head}${date}${ends ? CLOSE_LINE : KEEP_ALIVE_LINES}\r\n${bytes.toString('latin1')}`;
}
