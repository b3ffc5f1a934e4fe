import type { Environment } from '@msi-proxy/shared';
import type { TextOutput } from '@msi-proxy/shared/command-line';
import { createPaint, type Paint } from './paint.ts';

/** Where a command writes for people. */
export interface Terminal {
  readonly paint: Paint;
  /** Characters in a line; endless where the output goes to a file or another program. */
  readonly width: number;
  /** Lines; endless where there is no terminal. */
  readonly height: number;
  readonly isTerminal: boolean;
  write(text: string): void;
}

/** As Node's `tty.WriteStream` has it. */
export interface TerminalOutput extends TextOutput {
  readonly isTTY?: boolean;
  readonly rows?: number | undefined;
}

const DEFAULT_WIDTH = 80;
const DEFAULT_HEIGHT = 24;

export function createTerminal(output: TerminalOutput, environment: Environment): Terminal {
  const isTerminal = output.isTTY === true;
  return {
    isTerminal,
    paint: createPaint(isTerminal, environment),
    // Read each time: windows are resized.
    get width() {
      return isTerminal ? (output.columns ?? DEFAULT_WIDTH) : Infinity;
    },
    get height() {
      return isTerminal ? (output.rows ?? DEFAULT_HEIGHT) : Infinity;
    },
    write: text => void output.write(text),
  };
}
