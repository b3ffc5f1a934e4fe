import assert from 'node:assert/strict';
import { encodeMessage, MAX_CONTROL_LINE_BYTES } from '@msi-proxy/shared';
import { FakeClock } from '@msi-proxy/shared/testing';
import { TokenAnswer } from '../../../src/tokens/token-answer.ts';
import { TokenEntry } from '../../../src/tokens/token-cache.ts';
import { listTokens } from '../../../src/tokens/token-list.ts';
import { tokenRequestOf } from '../../../src/tokens/token-request.ts';
import { upstreamAnswer } from '../support/fake-imds.ts';
import { tokenText } from '../support/token-text.ts';

describe('the list of tokens', () => {
  const clock = new FakeClock();
  const answer = TokenAnswer.read(upstreamAnswer(tokenText()), clock.wallMillis())!;

  /** Tokens of which each is told in thousands of bytes. */
  function entries(count: number): TokenEntry[] {
    return Array.from({ length: count }, (_, index) => {
      const resource = `https://${index}.example/${'€'.repeat(2_000)}`;
      const request = tokenRequestOf([{ name: 'resource', value: resource }], undefined);
      const entry = new TokenEntry({ request, answer, order: index, source: 'client', clock });
      for (let holder = 0; holder < 10; holder += 1) entry.giveTo(String(holder).padStart(64, '0'));
      return entry;
    });
  }

  it('ends where a line of the control protocol would become too long, and says how many more there are', () => {
    const { tokens, more } = listTokens(entries(800), clock.wallMillis());
    const line = encodeMessage({ type: 'tokens', tokens, more });
    assert.ok(Buffer.byteLength(line) < MAX_CONTROL_LINE_BYTES, String(Buffer.byteLength(line)));
    assert.ok(tokens.length > 200, String(tokens.length));
    assert.equal(tokens.length + more, 800);
    assert.deepEqual([tokens[0]?.id, tokens.at(-1)?.id], [0, tokens.length - 1]);
  });

  it('has all of a few', () => {
    const { tokens, more } = listTokens(entries(20), clock.wallMillis());
    assert.equal(tokens.length, 20);
    assert.equal(more, 0);
  });
});
