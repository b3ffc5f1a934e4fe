import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

/**
 * How a proxy asks its monitor past the Docker engine, through which their session runs: an HTTP request to the monitor's
 * stand-in. The key comes by the session, so that whoever can listen or speak on the proxies' network can neither ask nor
 * answer; a question is never the same twice, so that an answer cannot be given again. See docs/adr/0031.
 */
export const WITNESS_PATH = '/.msi-proxy/unchanged';

/** Header of a question: what makes it the only one of its kind, and what shows who asks. */
export const WITNESS_HEADER = 'x-msi-proxy-question';

/** One run of a container, as Docker names it. */
export interface WitnessedRun {
  readonly containerId: string;
  readonly startedAt: string;
}

const KEY_BYTES = 32;
const NONCE_BYTES = 16;
const QUESTION = /^([0-9a-f]{32})\.([0-9a-f]{64})$/;

/** @returns a key that nobody has had before, in hex */
export function newWitnessKey(): string {
  return randomBytes(KEY_BYTES).toString('hex');
}

/** A question about an address. */
export class WitnessQuestion {
  readonly address: string;
  readonly #key: string;
  readonly #nonce: string;

  private constructor(key: string, nonce: string, address: string) {
    this.address = address;
    this.#key = key;
    this.#nonce = nonce;
  }

  static ask(key: string, address: string): WitnessQuestion {
    return new WitnessQuestion(key, randomBytes(NONCE_BYTES).toString('hex'), address);
  }

  /** @returns undefined when whoever asks does not have the key */
  static read(key: string, target: string, header: unknown): WitnessQuestion | undefined {
    const [path, query] = target.split('?');
    const address = new URLSearchParams(query).get('address');
    const [, nonce, proof] = typeof header === 'string' ? (QUESTION.exec(header) ?? []) : [];
    if (path !== WITNESS_PATH || address === null || nonce === undefined || proof === undefined)
      return undefined;
    const question = new WitnessQuestion(key, nonce, address);
    return isSame(proof, question.#proof('question')) ? question : undefined;
  }

  get target(): string {
    return `${WITNESS_PATH}?address=${encodeURIComponent(this.address)}`;
  }

  get header(): string {
    return `${this.#nonce}.${this.#proof('question')}`;
  }

  /** The body of an answer that says which run of a container has the address. */
  answer({ containerId, startedAt }: WitnessedRun): Record<string, string> {
    return { containerId, startedAt, proof: this.#proof('answer', containerId, startedAt) };
  }

  /** @returns undefined for what is no answer to this question, or not the monitor's */
  readAnswer(body: unknown): WitnessedRun | undefined {
    if (typeof body !== 'object' || body === null) return undefined;
    const { containerId, startedAt, proof } = body as Record<string, unknown>;
    if (typeof containerId !== 'string' || typeof startedAt !== 'string' || typeof proof !== 'string')
      return undefined;
    return isSame(proof, this.#proof('answer', containerId, startedAt))
      ? { containerId, startedAt }
      : undefined;
  }

  #proof(...parts: readonly string[]): string {
    const text = JSON.stringify([this.#nonce, this.address, ...parts]);
    return createHmac('sha256', Buffer.from(this.#key, 'hex')).update(text).digest('hex');
  }
}

function isSame(given: string, expected: string): boolean {
  const bytes = Buffer.from(given);
  return bytes.length === expected.length && timingSafeEqual(bytes, Buffer.from(expected));
}
