import { createHash } from 'node:crypto';
import type { UpstreamAnswer } from '../upstream/upstream-answer.ts';
import { memberSpans, type Span } from './json-members.ts';
import { ownerOf, type TokenOwner } from './token-claims.ts';

/** A value that says how long something is from now, and so is another one a second later. */
interface Countdown {
  readonly seconds: number;
  readonly isText: boolean;
}

/** Counted from the moment of the answer (swagger of IMDS; `refresh_in` is OAuth's, seen from newer services). */
const COUNTDOWNS = ['expires_in', 'ext_expires_in', 'refresh_in'];

interface Rendered {
  readonly elapsedSeconds: number;
  readonly date: string;
  readonly answer: UpstreamAnswer;
}

/**
 * In how many forms its bytes are held: as received, and as that was sent to the one who waited for it; as it was rendered last,
 * and as that is sent (`server/send-answer.ts`), by `node:http` and in two forms without it.
 */
const FORMS = 6;

/** Everything around the bytes. */
const OBJECTS_BYTES = 2_048;

/** These belong to one exchange, not to the token. */
const NOT_REPEATED = new Set(['date', 'x-ms-request-id']);

/** A token answer of IMDS that can be given again later, with its times as they are then. */
export class TokenAnswer {
  /** From the moment of the answer. */
  readonly expiresInSeconds: number;
  readonly refreshInSeconds: number | undefined;
  readonly owner: TokenOwner;
  readonly #answer: UpstreamAnswer;
  /** The body in pieces: bytes that stay, and values that count down. */
  readonly #pieces: readonly (Buffer | Countdown)[];
  readonly #tokenHash: string;
  #rendered: Rendered | undefined;

  private constructor(answer: UpstreamAnswer, members: Members, pieces: readonly (Buffer | Countdown)[]) {
    const { accessToken, expiresInSeconds, refreshInSeconds, clientId } = members;
    this.expiresInSeconds = expiresInSeconds;
    this.refreshInSeconds = refreshInSeconds;
    this.owner = ownerOf(accessToken, clientId);
    this.#answer = answer;
    this.#pieces = pieces;
    this.#tokenHash = createHash('sha256').update(accessToken).digest('hex');
  }

  /**
   * @param wallMillis now; only for an answer without `expires_in`
   * @returns `undefined` for what is no usable token answer
   */
  static read(answer: UpstreamAnswer, wallMillis: number): TokenAnswer | undefined {
    if (answer.status !== 200) return undefined;
    const text = answer.body.toString('utf8');
    const document = parseObject(text);
    const members = document && readMembers(document, wallMillis);
    const spans = members && memberSpans(text);
    return spans && new TokenAnswer(answer, members, piecesOf(answer.body, text, spans));
  }

  /** What it takes in memory at most. */
  get sizeBytes(): number {
    const { body, rawHeaders } = this.#answer;
    const headBytes = rawHeaders.reduce((sum, text) => sum + text.length + 4, 0);
    return FORMS * (body.length + headBytes) + OBJECTS_BYTES;
  }

  /** @param hash SHA-256 in hexadecimal digits, as in `token_sha256_to_refresh` */
  isToken(hash: string): boolean {
    return hash.toLowerCase() === this.#tokenHash;
  }

  /** The answer as IMDS gave it. */
  get original(): UpstreamAnswer {
    return this.#answer;
  }

  /**
   * The answer as IMDS would give it now: other bytes only where it counts seconds. The same object for the same second.
   *
   * @param elapsedSeconds whole seconds since it was received
   * @param date value of the `Date` header
   */
  after(elapsedSeconds: number, date: string): UpstreamAnswer {
    const last = this.#rendered;
    if (last?.elapsedSeconds === elapsedSeconds && last.date === date) return last.answer;
    const answer = this.#render(elapsedSeconds, date);
    this.#rendered = { elapsedSeconds, date, answer };
    return answer;
  }

  #render(elapsedSeconds: number, date: string): UpstreamAnswer {
    const body = this.#bodyAfter(elapsedSeconds);
    const rawHeaders = ['Date', date];
    const { rawHeaders: received } = this.#answer;
    for (let index = 0; index + 1 < received.length; index += 2) {
      const name = received[index]!;
      if (!NOT_REPEATED.has(name.toLowerCase())) rawHeaders.push(name, received[index + 1]!);
    }
    return { ...this.#answer, rawHeaders, contentLength: String(body.length), body };
  }

  #bodyAfter(elapsedSeconds: number): Buffer {
    const parts = this.#pieces.map(piece => {
      if (Buffer.isBuffer(piece)) return piece;
      const left = String(Math.max(0, piece.seconds - elapsedSeconds));
      return Buffer.from(piece.isText ? `"${left}"` : left);
    });
    return Buffer.concat(parts);
  }
}

interface Members {
  readonly accessToken: string;
  readonly expiresInSeconds: number;
  readonly refreshInSeconds: number | undefined;
  readonly clientId: string | undefined;
}

function readMembers(document: Readonly<Record<string, unknown>>, wallMillis: number): Members | undefined {
  const accessToken = document['access_token'];
  const expiresOn = secondsOf(document['expires_on']);
  const expiresInSeconds =
    secondsOf(document['expires_in']) ??
    (expiresOn === undefined ? undefined : expiresOn - Math.ceil(wallMillis / 1_000));
  if (typeof accessToken !== 'string' || accessToken === '') return undefined;
  if (expiresInSeconds === undefined || expiresInSeconds <= 0) return undefined;
  const clientId = document['client_id'];
  return {
    accessToken,
    expiresInSeconds,
    refreshInSeconds: secondsOf(document['refresh_in']),
    clientId: typeof clientId === 'string' ? clientId : undefined,
  };
}

/** IMDS writes numbers as texts; other services that speak its protocol write numbers. */
function secondsOf(value: unknown): number | undefined {
  const text = typeof value === 'number' ? String(value) : value;
  return typeof text === 'string' && /^\d{1,12}$/.test(text) ? Number(text) : undefined;
}

function piecesOf(body: Buffer, text: string, spans: ReadonlyMap<string, Span>): (Buffer | Countdown)[] {
  // Where a character is a byte, as in all that IMDS writes, the pieces need no memory of their own.
  const isByCharacter = text.length === body.length;
  const bytesOf = (start: number, end: number) =>
    isByCharacter ? body.subarray(start, end) : Buffer.from(text.slice(start, end));
  const pieces: (Buffer | Countdown)[] = [];
  let at = 0;
  const counted = [...spans].filter(([name]) => COUNTDOWNS.includes(name)).map(([, span]) => span);
  for (const { start, end } of counted) {
    const isText = text[start] === '"';
    const seconds = secondsOf(isText ? text.slice(start + 1, end - 1) : text.slice(start, end));
    if (seconds === undefined) continue; // an empty text, for instance
    pieces.push(bytesOf(at, start), { seconds, isText });
    at = end;
  }
  pieces.push(bytesOf(at, text.length));
  return pieces;
}

/** The document when the text is a JSON object. */
export function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    return undefined;
  }
  const isObject = typeof document === 'object' && document !== null && !Array.isArray(document);
  return isObject ? (document as Record<string, unknown>) : undefined;
}
