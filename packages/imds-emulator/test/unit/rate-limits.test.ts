import assert from 'node:assert/strict';
import type { HostPort } from '@msi-proxy/shared';
import { FakeClock, settle } from '@msi-proxy/shared/testing';
import { request } from './support/raw-http.ts';
import { withEmulator } from './support/with-emulator.ts';

const INSTANCE = '/metadata/instance?api-version=2021-02-01';
const TOKEN = '/metadata/identity/oauth2/token?api-version=2018-02-01&resource=x';

async function statuses(address: HostPort, target: string, count: number): Promise<number[]> {
  const seen: number[] = [];
  for (let sent = 0; sent < count; sent += 1) seen.push((await request(address, target)).status);
  return seen;
}

const times = (count: number, status: number) => Array<number>(count).fill(status);

describe('rate limits', () => {
  it('are off unless asked for', async () => {
    await withEmulator({ clock: new FakeClock() }, async ({ address }) => {
      assert.deepEqual(await statuses(address, INSTANCE, 8), times(8, 200));
    });
  });

  it('let 5 requests a second through, each category by itself', async () => {
    const clock = new FakeClock();
    await withEmulator({ clock, rateLimits: true }, async ({ address }) => {
      assert.deepEqual(await statuses(address, INSTANCE, 7), [...times(5, 200), 429, 429]);
      assert.deepEqual(await statuses(address, TOKEN, 21), [...times(20, 200), 429]);
      await clock.advance(999);
      assert.deepEqual(await statuses(address, INSTANCE, 1), [429]);
      await clock.advance(1);
      assert.deepEqual(await statuses(address, INSTANCE, 6), [...times(5, 200), 429]);
    });
  });

  it('let 5 identity requests in at a time', async () => {
    const clock = new FakeClock();
    await withEmulator({ clock, rateLimits: true }, async ({ address, emulator }) => {
      emulator.setFaults([{ category: 'token', fault: 'delay', delayMillis: 1_000 }]);
      const slow = Array.from({ length: 5 }, () => request(address, TOKEN));
      while (clock.pendingTimers < 5) await settle();
      assert.equal((await request(address, TOKEN)).status, 429);
      await clock.advance(1_000);
      assert.deepEqual(
        (await Promise.all(slow)).map(answer => answer.status),
        times(5, 200),
      );
      emulator.setFaults([]);
      assert.equal((await request(address, TOKEN)).status, 200, 'they are let go when they are answered');
    });
  });

  it('refuse in the words of Azure and without Retry-After', async () => {
    await withEmulator({ clock: new FakeClock(), rateLimits: true }, async ({ address }) => {
      await statuses(address, TOKEN, 20);
      const refused = await request(address, TOKEN);
      assert.equal(
        refused.body,
        '{"error":"invalid_request","error_description":"Temporarily throttled, too many requests"}',
      );
      assert.equal(refused.headers['content-length'], '90');
      assert.equal(refused.headers['retry-after'], undefined);
    });
  });
});
