import { messageOf, type Clock, type MonitorStatus } from '@msi-proxy/shared';
import { printableLine } from '../terminal/printable-line.ts';
import type { Terminal } from '../terminal/terminal.ts';
import { formatStatus } from './format-status.ts';
import { statusChanges } from './status-changes.ts';

export interface WatchStatusOptions {
  readonly fetch: () => Promise<MonitorStatus>;
  readonly terminal: Terminal;
  /** `json`: a line for each status that differs from the one before. */
  readonly format: 'json' | 'text';
  readonly clock: Pick<Clock, 'wallMillis'>;
  /** Waits before the next look, and keeps the process alive meanwhile. */
  readonly pause: () => Promise<unknown>;
  /** Ends it. */
  readonly signal: AbortSignal;
}

/** ECMA-48 and xterm: the alternate screen, without a cursor, so that what was there comes back in the end. */
const ENTER = '\u001b[?1049h\u001b[?25l';
const LEAVE = '\u001b[?25h\u001b[?1049l';
const HOME = '\u001b[H';
const CLEAR_TO_END_OF_LINE = '\u001b[K';
const CLEAR_BELOW = '\u001b[J';

/**
 * Shows the status until it is told to end: on a terminal always the current one, elsewhere a line for each change. A monitor
 * that does not answer is said, and asked again.
 */
export async function watchStatus(options: WatchStatusOptions): Promise<void> {
  const { fetch, terminal, pause, signal } = options;
  const view =
    options.format === 'json'
      ? jsonView(options)
      : terminal.isTerminal
        ? screenView(options)
        : lineView(options);
  const ended = new Promise<'ended'>(resolve => {
    if (signal.aborted) resolve('ended');
    signal.addEventListener('abort', () => resolve('ended'), { once: true });
  });
  view.open?.();
  try {
    for (;;) {
      const asked = fetch().then(
        status => () => view.show(status),
        (error: unknown) => () => view.fail(messageOf(error)),
      );
      const outcome = await Promise.race([asked, ended]);
      if (outcome === 'ended') return;
      outcome();
      if ((await Promise.race([pause(), ended])) === 'ended') return;
    }
  } finally {
    view.close?.();
  }
}

interface View {
  readonly open?: () => void;
  readonly show: (status: MonitorStatus) => void;
  readonly fail: (message: string) => void;
  readonly close?: () => void;
}

function screenView({ terminal, clock }: WatchStatusOptions): View {
  let last: MonitorStatus | undefined;
  const draw = (note: string) => {
    const text =
      last === undefined
        ? ''
        : formatStatus(last, { ...paintAndWidth(terminal), nowMillis: clock.wallMillis() });
    const lines = fitted([note, '', ...text.trimEnd().split('\n')], terminal.height);
    terminal.write(HOME + lines.map(line => line + CLEAR_TO_END_OF_LINE).join('\n') + CLEAR_BELOW);
  };
  return {
    open: () => terminal.write(ENTER),
    show: status => {
      last = status;
      draw(terminal.paint(`${timeOf(clock)}  (Ctrl-C ends)`, 'dim'));
    },
    fail: message => draw(terminal.paint(printableLine(message).slice(0, terminal.width), 'red')),
    close: () => terminal.write(LEAVE),
  };
}

function fitted(lines: readonly string[], height: number): readonly string[] {
  const left = lines.length - height;
  return left <= 0 ? lines : [...lines.slice(0, height - 1), `… and ${left + 1} more lines`];
}

function lineView({ terminal, clock }: WatchStatusOptions): View {
  let last: MonitorStatus | undefined;
  let lastFailure: string | undefined;
  const tell = (text: string) => terminal.write(`${timeOf(clock)} ${printableLine(text)}\n`);
  return {
    show: status => {
      if (lastFailure !== undefined) tell('monitor: answers again');
      lastFailure = undefined;
      statusChanges(last, status).forEach(tell);
      last = status;
    },
    fail: message => {
      if (message !== lastFailure) tell(message);
      lastFailure = message;
    },
  };
}

function jsonView({ terminal }: WatchStatusOptions): View {
  let last = '';
  const tell = (value: unknown) => {
    const text = JSON.stringify(value);
    if (text !== last) terminal.write(`${text}\n`);
    last = text;
  };
  return { show: tell, fail: error => tell({ error }) };
}

function paintAndWidth({ paint, width }: Terminal) {
  return { paint, width };
}

function timeOf(clock: WatchStatusOptions['clock']): string {
  return new Date(clock.wallMillis()).toISOString();
}
