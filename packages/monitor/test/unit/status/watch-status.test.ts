import assert from 'node:assert/strict';
import type { ClientStatus, MonitorStatus } from '@msi-proxy/shared';
import { FakeClock } from '@msi-proxy/shared/testing';
import { watchStatus } from '../../../src/status/index.ts';
import { createTerminal } from '../../../src/terminal/terminal.ts';
import { someStatus } from './support.ts';

const [client] = someStatus().clients as [ClientStatus];
const PENDING = someStatus({ clients: [{ ...client, state: 'pending', reason: 'no proxy' }] });

interface How {
  readonly isTTY?: boolean;
  readonly rows?: number;
  readonly format?: 'text' | 'json';
}

/** Watches while the monitor answers these, one after the other. */
async function watched(
  answers: readonly (MonitorStatus | Error)[],
  { isTTY = false, rows = 40, format = 'text' }: How = {},
): Promise<string> {
  let written = '';
  const clock = new FakeClock();
  const stopping = new AbortController();
  const left = [...answers];
  const watching = watchStatus({
    fetch: () => {
      const next = left.shift();
      // Asked once more than there are answers: a monitor that hangs.
      if (next === undefined) return new Promise<never>(() => undefined);
      return next instanceof Error ? Promise.reject(next) : Promise.resolve(next);
    },
    terminal: createTerminal(
      { write: text => (written += text), isTTY, columns: 200, rows },
      { NO_COLOR: '1' },
    ),
    format,
    clock,
    pause: () =>
      new Promise<void>(resolve => {
        clock.setTimer(resolve, 1_000);
      }),
    signal: stopping.signal,
  });
  while (left.length > 0) await clock.advance(1_000);
  await clock.advance(1_000);
  stopping.abort();
  await watching;
  return written;
}

const linesOf = (text: string) =>
  text
    .trimEnd()
    .split('\n')
    .map(line => line.replace(/^\S+ /, ''));

describe('watching the status', () => {
  it('without a terminal has a line for each change', async () => {
    assert.deepEqual(linesOf(await watched([PENDING, PENDING, someStatus(), someStatus({ clients: [] })])), [
      'engine: connected',
      'guard: in-place',
      'proxy proxy: serving',
      'client web: pending (no proxy)',
      'client web: pending (no proxy) → wired',
      'client web: wired → gone',
    ]);
  });

  it('says once that no monitor answers, and that it does again', async () => {
    const gone = new Error('no monitor');
    const text = await watched([someStatus(), gone, gone, someStatus()]);
    assert.deepEqual(linesOf(text).slice(-2), ['no monitor', 'monitor: answers again']);
  });

  it('as JSON has a line for each status that differs', async () => {
    const text = await watched([PENDING, PENDING, new Error('no monitor'), someStatus()], { format: 'json' });
    assert.deepEqual(
      text
        .trimEnd()
        .split('\n')
        .map(line => JSON.parse(line) as unknown),
      [PENDING, { error: 'no monitor' }, someStatus()],
    );
  });

  it('on a terminal shows the current status on a screen of its own, and leaves it in the end', async () => {
    const text = await watched([PENDING, someStatus()], { isTTY: true });
    assert.ok(text.startsWith('\u001b[?1049h\u001b[?25l\u001b[H'));
    assert.ok(text.endsWith('\u001b[?25h\u001b[?1049l'));
    assert.match(text, /pending[^]*\u001b\[H[^]*wired/);
  });

  it('on a terminal shows no more lines than there are', async () => {
    const text = await watched([someStatus()], { isTTY: true, rows: 5 });
    assert.equal(text.split('\n').length, 5);
    assert.match(text, /… and 9 more lines/);
  });

  it('keeps the last status in sight while no monitor answers', async () => {
    const text = await watched([someStatus(), new Error('no monitor')], { isTTY: true });
    const lastScreen = text.slice(text.lastIndexOf('\u001b[H'));
    assert.match(lastScreen, /no monitor[^]*wired/);
  });
});
