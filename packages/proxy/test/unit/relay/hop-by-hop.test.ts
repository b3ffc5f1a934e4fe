import assert from 'node:assert/strict';
import { hopByHopNames, withoutHeaders } from '../../../src/relay/hop-by-hop.ts';

describe('headers of one connection', () => {
  const raw = [
    'Content-Type',
    'text/plain',
    'Keep-Alive',
    'timeout=5',
    'X-Note',
    'a',
    'CONNECTION',
    'x-note',
    'HTTP2-Settings',
    'AAMAAABk',
  ];

  it('are those of RFC 9110, and of RFC 7540', () => {
    assert.deepEqual(withoutHeaders(raw, hopByHopNames(undefined)), [
      'Content-Type',
      'text/plain',
      'X-Note',
      'a',
    ]);
  });

  it('are also those that Connection lists, in any case and with any spaces', () => {
    assert.deepEqual(withoutHeaders(raw, hopByHopNames('close ,  X-NOTE')), ['Content-Type', 'text/plain']);
  });

  it('are taken out without a change to order, spelling and repeats of the others', () => {
    const repeated = ['Set-Cookie', 'a', 'TE', 'trailers', 'set-cookie', 'b', 'Set-Cookie', 'a'];
    assert.deepEqual(withoutHeaders(repeated, hopByHopNames(undefined)), [
      'Set-Cookie',
      'a',
      'set-cookie',
      'b',
      'Set-Cookie',
      'a',
    ]);
  });
});
