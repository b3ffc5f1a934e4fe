import assert from 'node:assert/strict';
import fc from 'fast-check';
import { ask, open, readAll } from '../../unit/support/raw-client.ts';
import { FORBIDDEN, HOSTILE_REQUESTS, TARGET } from './raw-requests.ts';
import { complaintAbout, withTappedProxy } from './tapped-proxy.ts';

/** Longer with `MSI_PROXY_TEST_FUZZ_SECONDS=60`. */
const SECONDS = Number(process.env['MSI_PROXY_TEST_FUZZ_SECONDS'] ?? 5);

const METHOD = fc.constantFrom(
  'GET',
  'GET',
  'GET',
  'HEAD',
  'POST',
  'OPTIONS',
  'DELETE',
  'CONNECT',
  'G',
  'get',
);
const SEGMENT = fc.oneof(
  fc.constantFrom(
    ...[
      'metadata',
      'identity',
      'oauth2',
      'token',
      'info',
      'instance',
      'compute',
      'userData',
      'attested',
      'document',
    ],
    ...[
      'scheduledevents',
      'loadbalancer',
      'versions',
      '..',
      '.',
      '',
      '%2e%2e',
      ';',
      '%2f',
      '%00',
      'METADATA',
    ],
  ),
  fc.string({ maxLength: 6, unit: 'binary-ascii' }),
);
const SEPARATOR = fc.constantFrom('/', '/', '/', '/', '\\', '//', '%2f', '/./', '/../', '?', '#', ' ');
const QUERY = fc
  .array(
    fc.tuple(
      fc.constantFrom(
        'api-version',
        'resource',
        'client_id',
        'CLIENT_ID',
        'format',
        'x',
        'recursive',
        'mi_res_id',
      ),
      fc.oneof(
        fc.constantFrom('2018-02-01', '2021-02-01', 'https://vault.azure.net', 'text'),
        fc.string({ maxLength: 8 }),
      ),
    ),
    { maxLength: 4 },
  )
  .map(pairs => pairs.map(([name, value]) => `${name}=${value}`).join('&'));
const RANDOM_TARGET = fc
  .tuple(fc.array(fc.tuple(SEPARATOR, SEGMENT), { minLength: 1, maxLength: 6 }), QUERY)
  .map(([parts, query]) => `${parts.flat().join('')}?${query}`);
const ANY_TARGET = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      TARGET,
      FORBIDDEN,
      '/metadata/versions',
      '/metadata/instance?api-version=2021-02-01',
    ),
  },
  { weight: 3, arbitrary: RANDOM_TARGET },
);
const NAME = fc.constantFrom(
  ...[
    'Host',
    'Metadata',
    'metadata',
    'Content-Length',
    'Transfer-Encoding',
    'Connection',
    'X-Forwarded-For',
    'Expect',
  ],
  ...[
    'Upgrade',
    'Trailer',
    'TE',
    'Accept',
    'User-Agent',
    'X',
    'X-Original-URL',
    'Metadata ',
    ' Metadata',
    '',
    'M\0',
  ],
);
const VALUE = fc.oneof(
  fc.constantFrom(
    'true',
    'True',
    '169.254.169.254',
    'chunked',
    '0',
    '5',
    'close',
    'keep-alive',
    'identity',
    'h2c',
    '',
  ),
  fc.string({ maxLength: 12, unit: 'binary-ascii' }),
);
const LINE_END = fc.constantFrom('\r\n', '\r\n', '\r\n', '\r\n', '\r\n', '\n', '\r', '\r\n ');
const COLON = fc.constantFrom(': ', ': ', ': ', ':', ' : ', ':\t', '');
const HEADER = fc.tuple(NAME, COLON, VALUE, LINE_END).map(parts => parts.join(''));
const USUAL = fc.constantFrom('Host: 169.254.169.254\r\nMetadata: true\r\n', 'Metadata: true\r\n', '');
const BODY = fc.oneof(
  { weight: 4, arbitrary: fc.constant('') },
  { weight: 1, arbitrary: fc.constantFrom('hello', '0\r\n\r\n', '5\r\nhello\r\n0\r\n\r\n', '\0') },
);
const REQUEST = fc
  .tuple(
    METHOD,
    ANY_TARGET,
    fc.constantFrom(' HTTP/1.1', ' HTTP/1.1', ' HTTP/1.0', ' HTTP/2.0', ''),
    LINE_END,
  )
  .chain(([method, target, version, lineEnd]) =>
    fc
      .tuple(USUAL, fc.array(HEADER, { maxLength: 4 }), BODY)
      .map(
        ([usual, headers, body]) =>
          `${method} ${target}${version}${lineEnd}${usual}${headers.join('')}\r\n${body}`,
      ),
  );
/** What may pass, with a target of its own so that it is not answered from a cache. */
const FINE = fc
  .tuple(fc.constantFrom('GET', 'HEAD'), fc.nat())
  .map(
    ([method, number]) =>
      `${method} /metadata/instance/compute?api-version=2021-02-01&x=${number} HTTP/1.1\r\nHost: 169.254.169.254\r\nMetadata: true\r\n\r\n`,
  );
const PIECE = fc.oneof(
  { weight: 4, arbitrary: FINE },
  { weight: 6, arbitrary: REQUEST },
  { weight: 2, arbitrary: fc.constantFrom(...HOSTILE_REQUESTS).map(({ bytes }) => bytes) },
  { weight: 1, arbitrary: fc.string({ maxLength: 40, unit: 'binary' }) },
);
/** Requests one behind the other, and where the stream is cut into packets. */
const STREAM = fc.record({
  pieces: fc.array(PIECE, { minLength: 1, maxLength: 4 }),
  cuts: fc.array(fc.nat({ max: 400 }), { maxLength: 3 }),
});
type Stream = typeof STREAM extends fc.Arbitrary<infer Value> ? Value : never;

/** What a client that has written all says last; if its bytes left the connection in order, it is answered and closed. */
const FAREWELL =
  'GET /.msi-proxy/none HTTP/1.1\r\nHost: 169.254.169.254\r\nMetadata: true\r\nConnection: close\r\n\r\n';
/** For streams that were left in the middle of something. */
const PATIENCE_MILLIS = 150;

async function write({ pieces, cuts }: Stream, port: number): Promise<void> {
  const bytes = Buffer.from(pieces.join(''), 'latin1');
  const socket = open({ port });
  const closed = readAll(socket);
  let from = 0;
  for (const cut of [...cuts].sort((one, other) => one - other)) {
    socket.write(bytes.subarray(from, Math.max(from, cut)));
    from = Math.max(from, cut);
    await new Promise(resolve => setImmediate(resolve));
  }
  socket.write(bytes.subarray(from));
  socket.write(FAREWELL);
  const timer = setTimeout(() => socket.destroy(), PATIENCE_MILLIS);
  await closed;
  clearTimeout(timer);
}

/** The budget of a VM would let five requests a second arrive. */
const UNBOUNDED = { MSI_PROXY_IDENTITY_RATE: '1000', MSI_PROXY_METADATA_RATE: '1000' };

describe('random bytes', function () {
  this.timeout((SECONDS + 60) * 1_000);

  it(`cause nothing at IMDS that policy forbids, and leave the proxy serving (${SECONDS} s)`, async () => {
    await withTappedProxy({ settings: UNBOUNDED }, async ({ imds, port, program }) => {
      let streams = 0;
      let arrivals = 0;
      const property = fc.asyncProperty(
        fc.array(STREAM, { minLength: 1, maxLength: 64, size: 'max' }),
        async all => {
          streams += all.length;
          await Promise.all(all.map(stream => write(stream, port)));
          for (const { text } of imds.requests.splice(0)) {
            arrivals += 1;
            assert.equal(complaintAbout(text), undefined, text);
          }
        },
      );
      await fc.assert(property, {
        numRuns: 1_000_000,
        interruptAfterTimeLimit: SECONDS * 1_000,
        markInterruptAsFailure: false,
      });
      console.log(`      ${streams} streams, ${arrivals} requests arrived at IMDS`);
      assert.ok(streams > 100, 'too few to mean anything');
      assert.ok(arrivals > 5, 'what may pass has to pass, or nothing was shown');
      assert.equal((await ask('/metadata/versions', { port })).status, 200);
      assert.doesNotMatch(program.stdout, /"level":"error"/);
    });
  });
});
