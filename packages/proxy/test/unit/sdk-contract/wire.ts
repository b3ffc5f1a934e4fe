/** A request as a client sends it. */
export interface WireRequest {
  /** Who sends it, with versions where they differ. */
  readonly client: string;
  /** Where the bytes are known from: `captured` from the client itself, or the source that they were written from. */
  readonly source: string;
  /** Exactly what goes over the wire. */
  readonly bytes: string;
}

/** The bytes of a request without a body; an empty line ends it. */
export function head(requestLine: string, ...headerLines: readonly string[]): string {
  return [requestLine, ...headerLines, '', ''].join('\r\n');
}

/** Method, target and headers as Node's parser gives them. */
export function parsed(bytes: string): {
  readonly method: string;
  readonly target: string;
  readonly rawHeaders: readonly string[];
} {
  const [requestLine = '', ...headerLines] = bytes.slice(0, bytes.indexOf('\r\n\r\n')).split('\r\n');
  const [method = '', target = ''] = requestLine.split(' ');
  const rawHeaders = headerLines.flatMap(line => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon), line.slice(colon + 1).trim()];
  });
  return { method, target, rawHeaders };
}

export const HOST = 'Host: 169.254.169.254';
export const METADATA = 'Metadata: true';
export const TOKEN_PATH = '/metadata/identity/oauth2/token';

export const VAULT = 'https://vault.azure.net';
export const ENCODED_VAULT = encodeURIComponent(VAULT);

const REQUEST_ID = '3ed6e3ae-081b-4cf4-98c0-76c30fc0fbe9';
export const CLIENT_REQUEST_ID = `x-ms-client-request-id: ${REQUEST_ID}`;

/** What `java.net.HttpURLConnection` adds after the headers of the application. */
export const HTTP_URL_CONNECTION = [
  HOST,
  'Accept: text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2',
  'Connection: keep-alive',
];

/** What Python's `requests` sends before the headers of the application. */
export function pythonRequests(userAgent = 'python-requests/2.28.1'): readonly string[] {
  return [
    HOST,
    `User-Agent: ${userAgent}`,
    'Accept-Encoding: gzip, deflate',
    'Accept: */*',
    'Connection: keep-alive',
  ];
}

export const AZSDK_PYTHON =
  'azsdk-python-identity/1.13.0b2 Python/3.11.2 (Linux-6.1.0-x86_64-with-glibc2.36)';

/** What Azure.Core of .NET adds to every request. */
export const AZSDK_NET = [
  CLIENT_REQUEST_ID,
  'x-ms-return-client-request-id: true',
  'User-Agent: azsdk-net-Identity/1.13.2 (.NET 8.0.11; Debian GNU/Linux 12 (bookworm))',
];

export function azsdkJs(version: string): string {
  return `User-Agent: azsdk-js-identity/${version} core-rest-pipeline/1.24.0 Node/24.21.0 (Linux 6.1.0; x64)`;
}

/** What Go's `net/http` adds after all other headers, which it sorts. */
export const GO_TRANSPORT = 'Accept-Encoding: gzip';
