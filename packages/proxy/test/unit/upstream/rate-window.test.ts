import assert from 'node:assert/strict';
import { RateWindow } from '../../../src/upstream/budget/rate-window.ts';

describe('calls of a second', () => {
  it('leave room while there are fewer than the rate, those under way included', () => {
    const window = new RateWindow(2);
    window.began();
    assert.equal(window.roomInMillis(0), 0);
    window.began();
    assert.equal(window.roomInMillis(0), undefined);
  });

  it('count until a second after their answers', () => {
    const window = new RateWindow(2);
    for (const atMillis of [100, 300]) {
      window.began();
      window.ended(atMillis);
    }
    assert.equal(window.roomInMillis(400), 700);
    assert.equal(window.roomInMillis(1_099.5), 0.5);
    assert.equal(window.roomInMillis(1_100), 0);
    window.began();
    assert.equal(window.roomInMillis(1_100), 200);
  });

  it('are counted right however many there are', () => {
    const PER_SECOND = 5_000;
    const window = new RateWindow(PER_SECOND);
    const answeredAtMillis: number[] = [];
    // Faster than the rate allows in the first half, slower in the second, with a gap of more than a second.
    for (let call = 0, nowMillis = 0; call < 30_000; call += 1) {
      nowMillis += call < 15_000 ? 0.125 : 0.25;
      if (call === 20_000) nowMillis += 1_500;
      const counted = answeredAtMillis.filter(atMillis => nowMillis - atMillis < 1_000);
      answeredAtMillis.splice(0, answeredAtMillis.length, ...counted);
      const expected = counted.length < PER_SECOND ? 0 : counted[0]! + 1_000 - nowMillis;
      assert.equal(window.roomInMillis(nowMillis), expected);
      if (expected > 0) continue;
      window.began();
      window.ended(nowMillis);
      answeredAtMillis.push(nowMillis);
    }
  });
});
