import { connect } from 'node:net';
import type { HostPort } from '@msi-proxy/shared';

/** What came back over a socket, byte by byte. */
export interface RawAnswer {
  readonly bytes: Buffer;
  readonly status: number;
  /** In the order and spelling of the wire. */
  readonly headerLines: readonly string[];
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** Whether the connection ended with a reset. */
  readonly wasReset: boolean;
}

/** Sends bytes as they are, and reads until the other end closes. */
export async function sendRaw({ host, port }: HostPort, request: string | Buffer): Promise<RawAnswer> {
  const chunks: Buffer[] = [];
  const wasReset = await new Promise<boolean>((resolve, reject) => {
    const socket = connect({ host, port }, () => socket.write(request));
    socket.on('data', chunk => chunks.push(chunk));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNRESET') resolve(true);
      else reject(error);
    });
    socket.on('end', () => socket.end());
    socket.on('close', () => resolve(false));
  });
  return parse(Buffer.concat(chunks), wasReset);
}

export interface RequestOptions {
  readonly method?: string;
  /** Header lines besides Host and Connection; `Metadata: true` unless given. */
  readonly headers?: readonly string[];
  readonly body?: string;
}

/** A request with a target that no HTTP client would leave as it is. */
export function request(
  address: HostPort,
  target: string,
  { method = 'GET', headers = ['Metadata: true'], body = '' }: RequestOptions = {},
): Promise<RawAnswer> {
  const length = body === '' ? [] : [`Content-Length: ${Buffer.byteLength(body)}`];
  const lines = [`${method} ${target} HTTP/1.1`, 'Host: 169.254.169.254', 'Connection: close'];
  return sendRaw(address, [...lines, ...headers, ...length, '', body].join('\r\n'));
}

function parse(bytes: Buffer, wasReset: boolean): RawAnswer {
  const text = bytes.toString('latin1');
  const headEnd = text.indexOf('\r\n\r\n');
  const [statusLine = '', ...headerLines] = (headEnd === -1 ? text : text.slice(0, headEnd)).split('\r\n');
  const headers = Object.fromEntries(
    headerLines.map(line => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    }),
  );
  const body = headEnd === -1 ? '' : bytes.subarray(headEnd + 4).toString('utf8');
  return { bytes, status: Number(statusLine.split(' ')[1]), headerLines, headers, body, wasReset };
}
