import assert from 'node:assert/strict';
import { wireText, wireTextOnce } from '../../../src/server/send-answer.ts';
import { upstreamAnswer } from '../support/fake-imds.ts';

describe('an answer that is sent once', () => {
  const answer = upstreamAnswer('{"a":1}');
  const variants = {
    'as it is': answer,
    'with another body of the same length': { ...answer, body: Buffer.from('{"b":2}') },
    'with a shorter body': { ...answer, body: Buffer.from('{}'), contentLength: undefined },
    'with another status': { ...answer, status: 404 },
    'with another word for the status': { ...answer, statusText: 'other' },
    'with other headers': upstreamAnswer('{"a":1}', { headers: ['x-other', '1'] }),
  };
  for (const [name, variant] of Object.entries(variants)) {
    for (const close of [false, true]) {
      it(`is written as one that is sent often, ${name}${close ? ', at the end of a connection' : ''}`, () => {
        // What came before has the same headers, and is remembered.
        wireTextOnce(answer, !close);
        for (let time = 0; time < 2; time += 1) {
          assert.equal(wireTextOnce(variant, close), wireText({ ...variant }, close));
        }
        assert.equal(wireTextOnce(answer, close), wireText({ ...answer }, close));
      });
    }
  }
});
