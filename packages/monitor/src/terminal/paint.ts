import type { Environment } from '@msi-proxy/shared';

export type Colour = 'green' | 'yellow' | 'red' | 'dim' | 'bold';

/** Colours a text, or leaves it as it is. */
export type Paint = (text: string, colour: Colour) => string;

/** ECMA-48, "Select graphic rendition". */
const CODES: Readonly<Record<Colour, number>> = { green: 32, yellow: 33, red: 31, dim: 2, bold: 1 };

/**
 * Colours on a terminal, unless the environment says otherwise: `NO_COLOR` (no-color.org) takes them away, `FORCE_COLOR` gives
 * them also where there is no terminal, or takes them away with the value 0.
 */
export function createPaint(isTerminal: boolean, environment: Environment): Paint {
  if (!isColoured(isTerminal, environment)) return text => text;
  return (text, colour) => `\u001b[${CODES[colour]}m${text}\u001b[0m`;
}

function isColoured(
  isTerminal: boolean,
  { NO_COLOR: no = '', FORCE_COLOR: force, TERM: term }: Environment,
): boolean {
  if (force !== undefined && force !== '') return force !== '0' && force !== 'false';
  return no === '' && isTerminal && term !== 'dumb';
}
