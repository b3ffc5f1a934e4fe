import assert from 'node:assert/strict';
import { FakeClock } from '@msi-proxy/shared/testing';
import { ImdsPresence } from '../../../src/upstream/imds-presence.ts';
import { FakeImds, isDown, upstreamAnswer } from '../support/fake-imds.ts';

describe('the presence of IMDS', () => {
  let clock: FakeClock;
  let imds: FakeImds;
  let presence: ImdsPresence;

  beforeEach(() => {
    clock = new FakeClock();
    imds = new FakeImds(clock, () => isDown());
    presence = new ImdsPresence({ send: imds.send, clock });
  });

  async function look(): Promise<boolean> {
    const looking = presence.isPresent();
    await clock.advance(imds.latencyMillis);
    return await looking;
  }

  it('is looked for once for all who ask at the same time', async () => {
    assert.deepEqual(await Promise.all([look(), look(), look()]), [false, false, false]);
    assert.deepEqual(imds.asked, ['/metadata/versions']);
  });

  it('is looked for again after a minute of absence, and not before', async () => {
    assert.equal(await look(), false);
    imds.reply = () => upstreamAnswer('{}');
    await clock.advance(59_000);
    assert.equal(await look(), false);
    await clock.advance(1_000);
    assert.equal(await look(), true);
    assert.equal(imds.asked.length, 2);
  });

  it('is certain once IMDS has answered anything', async () => {
    imds.reply = () => upstreamAnswer('', { status: 500 });
    assert.equal(await look(), true);
    imds.reply = () => isDown();
    await clock.advance(3_600_000);
    assert.equal(await look(), true);
    assert.equal(imds.asked.length, 1);
  });

  it('is given two seconds to show', async () => {
    imds.latencyMillis = 60_000;
    const looking = presence.isPresent();
    await clock.advance(2_000);
    assert.equal(await looking, false);
  });
});
