import type { ServerResponse } from 'node:http';
import { CLOSE_LINE, KEEP_ALIVE_LINES, type SendOptions } from '@msi-proxy/shared/http';
import type { UpstreamAnswer } from '../upstream/upstream-answer.ts';

/**
 * An answer as it is sent. Each form is made when it is asked for: tokens are kept by the thousand, and of most of them one is
 * ever asked for. `TokenAnswer` counts all of them.
 */
interface PreparedAnswer {
  readonly headers: readonly string[];
  /** A text of one character a byte: Node writes head and text together, but head and bytes one after the other. */
  body?: string;
  /** Everything that is sent. */
  kept?: string;
  /** The same with the end of the connection. */
  closed?: string;
}

/** Answers that are kept are sent many times. */
const prepared = new WeakMap<UpstreamAnswer, PreparedAnswer>();

/** Passes an answer of IMDS on, always with `Content-Length`: Hadoop's client does not read chunked answers. */
export function sendUpstreamAnswer(
  response: ServerResponse,
  answer: UpstreamAnswer,
  { close }: SendOptions,
): void {
  const { status, statusText } = answer;
  const { headers, body } = response.req.method === 'HEAD' ? prepareHead(answer) : prepareBody(answer);
  response.sendDate = false;
  response.writeHead(status, statusText, (close ? [...headers, 'Connection', 'close'] : headers) as string[]);
  response.end(body, 'latin1');
}

/**
 * The whole answer to a GET, one character a byte, as {@link sendUpstreamAnswer} makes Node send it.
 *
 * @param close whether the connection ends with it
 */
export function wireText(answer: UpstreamAnswer, close: boolean): string {
  const known = prepare(answer);
  return close
    ? (known.closed ??= wire(answer, known.headers, CLOSE_LINE))
    : (known.kept ??= wire(answer, known.headers, KEEP_ALIVE_LINES));
}

/** The head of answers that have it in common. */
interface WireHead {
  readonly status: number;
  readonly statusText: string;
  readonly length: number;
  readonly close: boolean;
  readonly text: string;
}

/** By the headers as they were received: of the same bytes they are the same object. */
const wireHeads = new WeakMap<UpstreamAnswer['rawHeaders'], WireHead>();

/** The same for an answer that nobody else is sent: nothing of it is remembered but the head, which the next one may have. */
export function wireTextOnce(answer: UpstreamAnswer, close: boolean): string {
  const { status, statusText, rawHeaders, body } = answer;
  const { length } = body;
  let head = wireHeads.get(rawHeaders);
  const isSame =
    head?.status === status &&
    head.statusText === statusText &&
    head.length === length &&
    head.close === close;
  if (head === undefined || !isSame) {
    const headers = withContentLength(rawHeaders, String(length));
    const text = headText(answer, headers, close ? CLOSE_LINE : KEEP_ALIVE_LINES);
    head = { status, statusText, length, close, text };
    wireHeads.set(rawHeaders, head);
  }
  return head.text + body.toString('latin1');
}

function wire(answer: UpstreamAnswer, headers: readonly string[], last: string): string {
  return headText(answer, headers, last) + answer.body.toString('latin1');
}

function headText({ status, statusText }: UpstreamAnswer, headers: readonly string[], last: string): string {
  const lines = [`HTTP/1.1 ${status} ${statusText}\r\n`];
  for (let index = 0; index + 1 < headers.length; index += 2) {
    lines.push(`${headers[index]!}: ${headers[index + 1]!}\r\n`);
  }
  return `${lines.join('')}${last}\r\n`;
}

function prepare(answer: UpstreamAnswer): PreparedAnswer {
  const known = prepared.get(answer);
  if (known !== undefined) return known;
  const { rawHeaders, body } = answer;
  const fresh: PreparedAnswer = { headers: withContentLength(rawHeaders, String(body.length)) };
  prepared.set(answer, fresh);
  return fresh;
}

function prepareBody(answer: UpstreamAnswer): { readonly headers: readonly string[]; readonly body: string } {
  const known = prepare(answer);
  return { headers: known.headers, body: (known.body ??= answer.body.toString('latin1')) };
}

function prepareHead({ rawHeaders, contentLength }: UpstreamAnswer): {
  readonly headers: readonly string[];
  readonly body: string;
} {
  return { headers: withContentLength(rawHeaders, contentLength), body: '' };
}

/** In the place of the one that was received, if any. */
function withContentLength(rawHeaders: readonly string[], length: string | undefined): string[] {
  const headers: string[] = [];
  let isPlaced = length === undefined;
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]!;
    if (name.toLowerCase() !== 'content-length') headers.push(name, rawHeaders[index + 1]!);
    else if (!isPlaced) {
      headers.push(name, length!);
      isPlaced = true;
    }
  }
  return isPlaced ? headers : [...headers, 'Content-Length', length!];
}
