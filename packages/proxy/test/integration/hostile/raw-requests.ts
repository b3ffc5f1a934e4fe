/** Requests as bytes (Latin-1 text), each of which must end without one byte at IMDS. */
import {
  HOSTILE_HEADERS,
  HOSTILE_PATHS,
  HOSTILE_QUERIES,
  HTTP2_OFFER,
} from '../../unit/gate/hostile-targets.ts';

export const TARGET =
  '/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://vault.azure.net';
/** Not granted to the client of these tests, so that IMDS must never see it. */
export const FORBIDDEN = '/metadata/attested/document?api-version=2020-09-01';

const HOST = 'Host: 169.254.169.254\r\n';
const METADATA = 'Metadata: true\r\n';
const START = `GET ${TARGET} HTTP/1.1\r\n${HOST}${METADATA}`;
const SMUGGLED = `GET ${FORBIDDEN} HTTP/1.1\r\n${HOST}${METADATA}\r\n`;

export interface RawCase {
  readonly name: string;
  readonly bytes: string;
}

function named(kind: string, all: readonly string[]): RawCase[] {
  return all.map((bytes, at) => ({ name: `${kind} ${at}: ${JSON.stringify(bytes.slice(0, 100))}`, bytes }));
}

/** UTF-8, as a client would write it. */
function onTheWire(text: string): string {
  return Buffer.from(text).toString('latin1');
}

function withHeaders(lines: readonly string[], body = ''): string {
  return `${START}${lines.map(line => `${line}\r\n`).join('')}\r\n${body}`;
}

/** A space too many between the parts of a request line, which Node's parser skips: see {@link TOLERATED_REQUESTS}. */
const PATHS = HOSTILE_PATHS.filter(path => !path.startsWith(' ')).map(path =>
  onTheWire(
    `GET ${path}?api-version=2018-02-01&resource=https://vault.azure.net HTTP/1.1\r\n${HOST}${METADATA}\r\n`,
  ),
);

const QUERIES = HOSTILE_QUERIES.map(query =>
  onTheWire(`GET /metadata/identity/oauth2/token?${query} HTTP/1.1\r\n${HOST}${METADATA}\r\n`),
);

const HEADERS = HOSTILE_HEADERS.map(([, headers]) => {
  const lines = headers.flatMap((name, at) => (at % 2 === 0 ? [`${name}: ${headers[at + 1]}`] : []));
  return withHeaders(lines);
});

/** Lengths of a body in two minds (RFC 9112, 6.1 and 6.3), with a request where a body would be. */
const LENGTHS = [
  ...[
    ['Content-Length: 0', 'Transfer-Encoding: chunked'],
    ['Transfer-Encoding: chunked', 'Content-Length: 0'],
    ['Transfer-Encoding: chunked', 'Transfer-Encoding: identity'],
    ['Transfer-Encoding: identity'],
    ['Transfer-Encoding: identity, chunked'],
    ['Transfer-Encoding: chunked, identity'],
    ['Transfer-Encoding: gzip, chunked'],
    ['Transfer-Encoding: x'],
    ['Transfer-Encoding: "chunked"'],
    ['Transfer-Encoding:chunked'],
    ['Transfer-Encoding:\tchunked'],
    ['Transfer-Encoding: \x0bchunked'],
    ['Transfer-Encoding: chunked\x0b'],
    ['Transfer-Encoding : chunked'],
    ['Transfer-Encoding\t: chunked'],
    [' Transfer-Encoding: chunked'],
    ['X: y\n Transfer-Encoding: chunked'],
    ['X: y\r\n Transfer-Encoding: chunked'],
    ['X: y\nTransfer-Encoding: chunked'],
    ['X: y\rTransfer-Encoding: chunked'],
    ['X: y\0Transfer-Encoding: chunked'],
    ['Transfer_Encoding: chunked', 'Content-Length: 5'],
    ['Transfer-Encoding: chunked', 'X: y', 'transfer-encoding: chunked'],
    ['TRANSFER-ENCODING: CHUNKED'],
    ['Transfer-Encoding: chunKed'],
    ['Transfer-Encoding: chunked;x=y'],
    ['Transfer-Encoding:', ' chunked'],
    ['Transfer-Encoding: \xffchunked'],
    ['Content-Length: 5', 'Content-Length: 0'],
    ['Content-Length: 0', 'Content-Length: 5'],
    ['Content-Length: 5, 5'],
    ['Content-Length: 5 0'],
    ['Content-Length: 5;0'],
    ['Content-Length: +5'],
    ['Content-Length: -0'],
    ['Content-Length: -1'],
    ['Content-Length: 5.0'],
    ['Content-Length: 5e0'],
    ['Content-Length: 0x5'],
    ['Content-Length: 05'],
    ['Content-Length: \xb25'],
    ['Content-Length: 5\x0b'],
    ['Content-Length: "5"'],
    ['Content-Length : 5'],
    ['Content-Length:\r\n 5'],
    ['Content-Length: 18446744073709551616'],
    ['Content-Length: 9007199254740993'],
    ['Content-Length: 4294967296'],
    ['Content-Length: 5', 'Expect: 100-continue'],
    ['Expect: 100-continue'],
    ['Expect: 200-ok'],
    ['Trailer: Metadata'],
    ['Trailer: Transfer-Encoding', 'Transfer-Encoding: chunked'],
    ['TE: trailers', 'Transfer-Encoding: chunked'],
  ].flatMap(lines => [
    withHeaders(lines, SMUGGLED),
    withHeaders(lines, `0\r\n\r\n${SMUGGLED}`),
    withHeaders(lines, `5\r\nhello\r\n0\r\n\r\n${SMUGGLED}`),
  ]),
];

const CHUNKS = [
  '0\r\n\r\n',
  '5;x=y\r\nhello\r\n0\r\n\r\n',
  '5\nhello\n0\n\n',
  '0x5\r\nhello\r\n0\r\n\r\n',
  '-1\r\nhello\r\n0\r\n\r\n',
  '+5\r\nhello\r\n0\r\n\r\n',
  'ffffffffffffffff5\r\nhello\r\n0\r\n\r\n',
  '10000000000000000\r\n',
  '5 \r\nhello\r\n0\r\n\r\n',
  ' 5\r\nhello\r\n0\r\n\r\n',
  '5\r\nhelloX\r\n0\r\n\r\n',
  '5\r\nhello0\r\n\r\n',
  '5;\nhello\r\n0\r\n\r\n',
  '5\r\r\nhello\r\n0\r\n\r\n',
  '0\r\nMetadata: true\r\n\r\n',
  '0\r\nTransfer-Encoding: chunked\r\n\r\n',
  '0\r\nContent-Length: 5\r\n\r\nhello',
  'g\r\n',
  '\r\n',
].flatMap(chunks =>
  ['GET', 'HEAD', 'POST', 'DELETE', 'OPTIONS', 'PUT'].map(
    method =>
      `${method} ${TARGET} HTTP/1.1\r\n${HOST}${METADATA}Transfer-Encoding: chunked\r\n\r\n${chunks}${SMUGGLED}`,
  ),
);

const METHODS = [
  ...['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'CONNECT', 'PROPFIND', 'PURGE', 'LINK', 'QUERY'],
  ...[
    'get',
    'Get',
    'GETT',
    'GE',
    'G',
    '',
    'GET\t',
    ' GET',
    '\tGET',
    '\0GET',
    'GET\0',
    'G\xffT',
    '\xef\xbb\xbfGET',
  ],
  ...['GET /x', 'GET,', '"GET"', 'GET:', 'M-SEARCH', 'SOURCE', 'PRI'],
].map(method => `${method} ${TARGET} HTTP/1.1\r\n${HOST}${METADATA}\r\n`);

const REQUEST_LINES = [
  `GET\t${TARGET}\tHTTP/1.1`,
  `GET ${TARGET} x HTTP/1.1`,
  `GET ${TARGET}`,
  `GET ${TARGET} HTTP/0.9`,
  `GET ${TARGET} HTTP/2.0`,
  `GET ${TARGET} HTTP/1.10`,
  `GET ${TARGET} HTTP/1.`,
  `GET ${TARGET} HTTP/11`,
  `GET ${TARGET} HTTP/1,1`,
  `GET ${TARGET} http/1.1`,
  `GET ${TARGET} HTTPS/1.1`,
  `GET ${TARGET} ICY/1.1`,
  `GET ${TARGET} HTTP/1.1 x`,
  `GET ${TARGET} HTTP/1.1\0`,
  `GET ${TARGET}\0 HTTP/1.1`,
  `GET ${TARGET}\x0b HTTP/1.1`,
  `GET ${TARGET}\xa0 HTTP/1.1`,
  `GET ${TARGET}#x HTTP/1.1`,
  `GET http://169.254.169.254${TARGET} HTTP/1.1`,
  `GET http://evil.example${TARGET} HTTP/1.1`,
  `GET https://169.254.169.254${TARGET} HTTP/1.1`,
  `GET HTTP://169.254.169.254${TARGET} HTTP/1.1`,
  `GET //169.254.169.254${TARGET} HTTP/1.1`,
  `GET @169.254.169.254${TARGET} HTTP/1.1`,
  `GET :80${TARGET} HTTP/1.1`,
  `GET 169.254.169.254:80 HTTP/1.1`,
  `GET * HTTP/1.1`,
  `OPTIONS * HTTP/1.1`,
  `GET ?x HTTP/1.1`,
  `GET . HTTP/1.1`,
  `GET metadata/identity/oauth2/token HTTP/1.1`,
  `PRI * HTTP/2.0`,
].map(line => `${line}\r\n${HOST}${METADATA}\r\n`);

const HEADER_LINES = [
  'Metadata : true',
  ' Metadata: true',
  '\tMetadata: true',
  'Metadata\t: true',
  'Metadata\0: true',
  'Meta\0data: true',
  'Metadata:: true',
  'Metadata;: true',
  'Metadata',
  ': true',
  'Metadata: tr\0ue',
  'Metadata: tr\rue',
  'Metadata: true, true',
  'Metadata: "true"',
  'Metadata: 1',
  'Metadata:',
  'Metadata: true\0',
  'Metadata: true;x',
  'Metadata: t\xffrue',
  'Metadata: true\r\nMetadata: false',
  'Metadata: false\r\nMetadata: true',
  'Metadata: true\r\nMetadata: true',
  'Meta-data: true',
  'X-Metadata: true',
  'M\xc3\xa9tadata: true',
  '\xef\xbb\xbfMetadata: true',
  '"Metadata": true',
  '(Metadata): true',
  'Metadata=true',
].map(line => `GET ${TARGET} HTTP/1.1\r\n${HOST}${line}\r\n\r\n`);

const MORE_HEADERS = [
  ...['X-Forwarded-For: 1.2.3.4', 'x-forwarded-for:', 'X-FORWARDED-FOR: \t', 'X-Forwarded-For: ::1'].map(
    line => withHeaders([line]),
  ),
  ...[
    'Host: evil.example',
    'Host: 169.254.169.254@evil.example',
    'Host: localhost.evil',
    'Host: [',
    'Host: a b',
  ].map(line => `GET ${TARGET} HTTP/1.1\r\n${line}\r\n${METADATA}\r\n`),
  `GET ${TARGET} HTTP/1.1\r\n${HOST}${HOST}${METADATA}\r\n`,
  withHeaders(['Upgrade: h2c']),
  withHeaders(['Upgrade: websocket', 'Connection: Upgrade']),
  withHeaders(
    HTTP2_OFFER.flatMap((name, at) => (at % 2 === 0 ? [`${name}: ${HTTP2_OFFER[at + 1]}`] : [])),
    SMUGGLED,
  ).replace('h2c', 'h2'),
  withHeaders(['X: y\x01']),
  withHeaders(['X: y\x7f', 'X-Forwarded-For: 1']),
  withHeaders(['X\x80: y']),
  withHeaders(['X y: z']),
  withHeaders(['X[]: z']),
  withHeaders([`X: ${'a'.repeat(9_000)}`]),
  withHeaders([`${'X'.repeat(9_000)}: a`]),
  withHeaders(Array.from({ length: 65 }, (_, at) => `X-${at}: y`)),
  withHeaders(Array.from({ length: 2_000 }, () => 'X: y')),
  `GET ${TARGET}&x=${'a'.repeat(9_000)} HTTP/1.1\r\n${HOST}${METADATA}\r\n`,
  `${'G'.repeat(20_000)} / HTTP/1.1\r\n\r\n`,
];

const NO_HTTP = [
  '\r\n\r\n\r\n',
  '\n',
  '\0\0\0\0',
  'hello\r\n\r\n',
  // The beginning of TLS, of HTTP/2, of SSH, of a database's protocol, of a proxy's own (PROXY protocol 1 and 2).
  '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
  'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  'SSH-2.0-OpenSSH_9.2\r\n',
  '\0\0\0\x08\x04\xd2\x16/',
  `PROXY TCP4 10.0.0.1 169.254.169.254 1 80\r\n${START}\r\n`,
  `\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\x7f\x00\x00\x01\x7f\x00\x00\x01\x00\x01\x00\x50${START}\r\n`,
  '\xff'.repeat(10_000),
  'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
  `${START}X`,
  `${START}X: y\r`,
  START.slice(0, 20),
];

/** All of them. */
export const HOSTILE_REQUESTS: readonly RawCase[] = [
  ...named('path', PATHS),
  ...named('query', QUERIES),
  ...named('headers', HEADERS),
  ...named('length', LENGTHS),
  ...named('chunks', CHUNKS),
  ...named('method', METHODS),
  ...named('request line', REQUEST_LINES),
  ...named('metadata header', HEADER_LINES),
  ...named('more headers', MORE_HEADERS),
  ...named('no HTTP', NO_HTTP),
];

/**
 * Not what RFC 9112 allows, but Node's parser takes them for one request that means the same to everybody, and what is sent
 * upstream is what was judged, in clean bytes.
 */
export const TOLERATED_REQUESTS: readonly RawCase[] = named('tolerated', [
  `GET  ${TARGET} HTTP/1.1\r\n${HOST}${METADATA}\r\n`,
  `GET ${TARGET}  HTTP/1.1\r\n${HOST}${METADATA}\r\n`,
  `GET ${TARGET} RTSP/1.0\r\n${HOST}${METADATA}\r\n`,
  `GET ${TARGET} HTTP/1.0\r\n${METADATA}\r\n`,
  `\r\nGET ${TARGET} HTTP/1.1\r\n${HOST}${METADATA}\r\n`,
  `GET ${TARGET} HTTP/1.1\r\n${HOST}metadata:TRUE\r\n\r\n`,
  `GET ${TARGET} HTTP/1.1\r\n${HOST}Metadata: \t true \t\r\n\r\n`,
]);
