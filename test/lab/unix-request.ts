import { request } from 'node:http';

export interface UnixAnswer {
  readonly status: number;
  readonly body: string;
}

export interface UnixRequest {
  readonly socketPath: string;
  readonly path: string;
  readonly method?: string;
  readonly body?: string;
  readonly timeoutMillis?: number;
}

/** One HTTP request over a Unix socket: these reach into network namespaces, which TCP does not. */
export async function unixRequest(options: UnixRequest): Promise<UnixAnswer> {
  const { socketPath, path, method = 'GET', body, timeoutMillis = 5_000 } = options;
  return await new Promise((resolve, reject) => {
    const headers =
      body === undefined
        ? {}
        : { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) };
    const outgoing = request(
      { socketPath, path, method, headers, agent: false, signal: AbortSignal.timeout(timeoutMillis) },
      response => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
        response.once('end', () => resolve({ status: response.statusCode ?? 0, body: text }));
        response.once('error', reject);
      },
    );
    outgoing.once('error', reject);
    outgoing.end(body);
  });
}
