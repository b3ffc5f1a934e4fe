import { connect, type Socket } from 'node:net';

/** What came back over a socket. */
export interface RawAnswer {
  readonly text: string;
  readonly status: number;
  readonly headerLines: readonly string[];
  /** Values by name in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface AskOptions {
  readonly port: number;
  /** The address that the request comes from; all of 127.0.0.0/8 is this machine's. */
  readonly from?: string;
}

export interface RequestOptions extends AskOptions {
  readonly method?: string;
  /** Header lines besides Host and Connection; `Metadata: true` unless given. */
  readonly headers?: readonly string[];
  readonly body?: string;
}

export const CLIENT_ADDRESS = '127.0.0.2';

export function open({ port, from = CLIENT_ADDRESS }: AskOptions): Socket {
  const socket = connect({ host: '127.0.0.1', port, localAddress: from });
  socket.on('error', () => undefined); // a reset ends the reading
  return socket;
}

/** Sends bytes as they are, and reads until the other end closes. */
export async function sendRaw(options: AskOptions, bytes: string): Promise<RawAnswer> {
  const socket = open(options);
  socket.write(bytes, 'latin1');
  return await readAll(socket);
}

/** The same for bytes that keep the connection: leaves it once the answer begins, which the server then completes. */
export async function sendAndLeave(options: AskOptions, bytes: string): Promise<RawAnswer> {
  const socket = open(options);
  socket.write(bytes, 'latin1');
  socket.once('data', () => socket.end());
  return await readAll(socket);
}

export async function readAll(socket: Socket): Promise<RawAnswer> {
  const chunks: Buffer[] = [];
  await new Promise<void>(resolve => {
    socket.on('data', chunk => chunks.push(chunk));
    socket.on('close', () => resolve());
  });
  return parse(Buffer.concat(chunks).toString('latin1'));
}

export async function ask(target: string, options: RequestOptions): Promise<RawAnswer> {
  return await sendRaw(options, requestText(target, options));
}

export function requestText(
  target: string,
  { method = 'GET', headers = ['Metadata: true'], body = '' }: Omit<RequestOptions, 'port'> = {},
): string {
  const length = body === '' ? [] : [`Content-Length: ${Buffer.byteLength(body)}`];
  const lines = [`${method} ${target} HTTP/1.1`, 'Host: 169.254.169.254', 'Connection: close'];
  return [...lines, ...headers, ...length, '', body].join('\r\n');
}

function parse(text: string): RawAnswer {
  const headEnd = text.indexOf('\r\n\r\n');
  const [statusLine = '', ...headerLines] = (headEnd === -1 ? text : text.slice(0, headEnd)).split('\r\n');
  const headers = Object.fromEntries(
    headerLines.map(line => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    }),
  );
  const body = headEnd === -1 ? '' : text.slice(headEnd + 4);
  return { text, status: Number(statusLine.split(' ')[1]), headerLines, headers, body };
}
