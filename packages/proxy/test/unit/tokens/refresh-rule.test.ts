import assert from 'node:assert/strict';
import fc from 'fast-check';
import { refreshDelayMillis, refreshRetryMillis } from '../../../src/tokens/refresh-rule.ts';

const HOUR = 3_600;

function delaySeconds(expiresInSeconds: number, refreshInSeconds?: number, random = 0.5): number {
  return refreshDelayMillis({ expiresInSeconds, refreshInSeconds }, () => random) / 1_000;
}

describe('the rule for refreshing', () => {
  it('is half of a lifetime of more than two hours', () => {
    assert.equal(delaySeconds(24 * HOUR), 12 * HOUR);
    assert.equal(delaySeconds(2 * HOUR + 1), HOUR + 0.5);
  });

  it('is five minutes before the end of a shorter one', () => {
    assert.equal(delaySeconds(2 * HOUR), 2 * HOUR - 300);
    assert.equal(delaySeconds(HOUR), HOUR - 300);
  });

  it('is half of what is left of one that ends soon', () => {
    assert.equal(delaySeconds(600), 300);
    assert.equal(delaySeconds(60), 30);
  });

  it('is what the service says where it does', () => {
    assert.equal(delaySeconds(24 * HOUR, 3 * HOUR), 3 * HOUR);
    assert.equal(delaySeconds(HOUR, 2 * HOUR), HOUR - 300, 'later than the end');
  });

  it('is spread by ten percent of the distance', () => {
    assert.equal(delaySeconds(24 * HOUR, undefined, 0), 12 * HOUR * 0.9);
    assert.equal(delaySeconds(24 * HOUR, undefined, 1), 12 * HOUR * 1.1);
    assert.equal(delaySeconds(HOUR, undefined, 0), HOUR - 270);
    assert.equal(delaySeconds(HOUR, undefined, 1), HOUR - 330);
  });

  it('is never later than the end', () => {
    const seconds = fc.integer({ min: 1, max: 200_000 });
    const random = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true });
    fc.assert(
      fc.property(seconds, fc.option(seconds, { nil: undefined }), random, (left, refreshIn, value) => {
        const delay = delaySeconds(left, refreshIn, value);
        assert.ok(delay > 0 && delay <= left, String(delay));
      }),
    );
  });

  it('is tried again several times before the end when it fails', () => {
    assert.equal(
      refreshRetryMillis({ failures: 0, leftSeconds: 300 }, () => 1),
      3_000,
    );
    assert.equal(
      refreshRetryMillis({ failures: 9, leftSeconds: 300 }, () => 1),
      30_000,
    );
    assert.equal(
      refreshRetryMillis({ failures: 9, leftSeconds: 40 }, () => 1),
      10_000,
    );
  });
});
