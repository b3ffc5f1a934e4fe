import { STATUS_CODES, type ServerResponse } from 'node:http';
import type { Reply } from './reply.ts';

const SERVER = 'IMDS/150.870.65.1854';

export function sendReply(response: ServerResponse, reply: Reply): void {
  const headers = completeHeaders(reply);
  // IMDS leaves out "Connection: keep-alive" and "Keep-Alive"; a connection is kept by default.
  if (response.shouldKeepAlive && headers['Connection'] === undefined) response.removeHeader('Connection');
  response.writeHead(reply.status, headers);
  response.end(reply.body);
}

/** The bytes of an answer after which the connection is not used again; for faults that cut it or send it slowly. */
export function renderReply(reply: Reply, date: Date): Buffer {
  const headers = { Date: date.toUTCString(), Connection: 'close', ...completeHeaders(reply) };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const reason = STATUS_CODES[reply.status] ?? '';
  return Buffer.from(`HTTP/1.1 ${reply.status} ${reason}\r\n${lines.join('')}\r\n${reply.body}`);
}

function completeHeaders({ headers, body }: Reply): Record<string, string> {
  return { Server: SERVER, ...headers, 'Content-Length': String(Buffer.byteLength(body)) };
}
