import assert from 'node:assert/strict';
import { readPlainHead } from '../../../../src/upstream/plain/plain-head.ts';

const PLAIN = ['HTTP/1.1 200 OK', 'Content-Type: application/json', 'Content-Length: 2'];

function read(...lines: readonly string[]) {
  return readPlainHead(lines.join('\r\n'));
}

describe('a plain head', () => {
  it('is read as it was sent', () => {
    const head = read(
      'HTTP/1.1 410 Gone \xfc',
      'sErVer:\t IMDS/1 (x) \t',
      'Empty:',
      'A: 1',
      'a: 2',
      'Content-Length: 0012',
    );
    assert.equal(head?.status, 410);
    assert.equal(head.statusText, 'Gone \xfc');
    assert.deepEqual(head.rawHeaders, [
      ...['sErVer', 'IMDS/1 (x)', 'Empty', '', 'A', '1', 'a', '2', 'Content-Length', '0012'],
    ]);
    assert.equal(head.headers.get('a'), '1');
    assert.equal(head.length, 12);
  });

  it('may have a status without words', () => {
    assert.equal(read('HTTP/1.1 200 ', 'Content-Length: 0')?.statusText, '');
  });

  const others: Readonly<Record<string, readonly string[]>> = {
    'of no length': PLAIN.slice(0, 2),
    'of two lengths': [...PLAIN, 'Content-Length: 3'],
    'of the same length twice': [...PLAIN, 'content-length: 2'],
    'of a list of lengths': ['HTTP/1.1 200 OK', 'Content-Length: 2, 2'],
    'of a signed length': ['HTTP/1.1 200 OK', 'Content-Length: +2'],
    'of a hexadecimal length': ['HTTP/1.1 200 OK', 'Content-Length: 0x2'],
    'of a length that no number holds': ['HTTP/1.1 200 OK', `Content-Length: ${'9'.repeat(20)}`],
    'in chunks': ['HTTP/1.1 200 OK', 'Transfer-Encoding: chunked'],
    'in chunks and of a length': [...PLAIN, 'transfer-encoding: chunked'],
    'of an encoding that nobody knows': [...PLAIN, 'Transfer-Encoding: x'],
    'with a folded line': [...PLAIN, ' more'],
    'with a space before the colon': [...PLAIN, 'A : 1'],
    'with a line that has no colon': [...PLAIN, 'A'],
    'with a header without a name': [...PLAIN, ': 1'],
    'with a bare line feed': [...PLAIN, 'A: 1\nTransfer-Encoding: chunked'],
    'with a bare carriage return': [...PLAIN, 'A: 1\rB: 2'],
    'with a zero byte': [...PLAIN, 'A: \0'],
    'with more headers than IMDS has': [
      ...PLAIN,
      ...Array.from({ length: 63 }, (_, index) => `A${index}: 1`),
    ],
    'of HTTP/1.0': ['HTTP/1.0 200 OK', ...PLAIN.slice(1)],
    'of another protocol': ['HTTP/2 200', ...PLAIN.slice(1)],
    'of no protocol': ['nonsense'],
    'with a status of two digits': ['HTTP/1.1 20 OK', ...PLAIN.slice(1)],
    'with a status without a space after it': ['HTTP/1.1 200', ...PLAIN.slice(1)],
    'that another head follows': ['HTTP/1.1 100 Continue', ...PLAIN.slice(1)],
    'that changes the protocol': ['HTTP/1.1 101 Switching Protocols', ...PLAIN.slice(1)],
    'that never has a body': ['HTTP/1.1 304 Not Modified', ...PLAIN.slice(1)],
    'that has no content': ['HTTP/1.1 204 No Content', ...PLAIN.slice(1)],
  };
  for (const [name, lines] of Object.entries(others)) {
    it(`is not one ${name}`, () => {
      assert.equal(read(...lines), undefined);
    });
  }
});
