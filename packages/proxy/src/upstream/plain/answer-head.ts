import { hopByHopNames, withoutHeaders } from '../../relay/hop-by-hop.ts';
import type { UpstreamAnswer } from '../upstream-answer.ts';
import { readPlainHead } from './plain-head.ts';

/** What all answers with the same head have in common. */
export interface AnswerHead {
  /** Bytes of the body. */
  readonly length: number;
  /** How long the server keeps the connection, less a second for what is on the way (as Node's agent reads it). */
  readonly keptMillis: number;
  readonly answer: Omit<UpstreamAnswer, 'body'>;
}

/**
 * @param text one character a byte, without the empty line at its end
 * @returns `undefined` for what is not plain
 */
export function readAnswerHead(text: string): AnswerHead | undefined {
  const head = readPlainHead(text);
  if (head === undefined) return undefined;
  const { status, statusText, rawHeaders, headers, length } = head;
  return {
    length,
    keptMillis: keptMillis(headers),
    answer: {
      status,
      statusText,
      rawHeaders: withoutHeaders(rawHeaders, hopByHopNames(headers.get('connection'))),
      contentType: headers.get('content-type'),
      contentEncoding: headers.get('content-encoding'),
      contentLength: headers.get('content-length'),
    },
  };
}

function keptMillis(headers: ReadonlyMap<string, string>): number {
  if (/\bclose\b/i.test(headers.get('connection') ?? '')) return 0;
  const seconds = /\btimeout=(\d{1,6})\b/i.exec(headers.get('keep-alive') ?? '')?.[1];
  return seconds === undefined ? Number.POSITIVE_INFINITY : Math.max(0, Number(seconds) - 1) * 1_000;
}
