import { MsiProxyError } from '../errors/msi-proxy-error.ts';
import { shownText } from '../settings/setting-problem.ts';
import { MAX_CONTROL_LINE_BYTES, type MonitorMessage, type ProxyMessage } from './messages.ts';

export function encodeMessage(message: MonitorMessage | ProxyMessage): string {
  return `${JSON.stringify(message)}\n`;
}

/** Somebody who makes up types without end is not listened to for each. */
const MAX_NOTED_TYPES = 20;

export interface MessageDecoderOptions {
  readonly maxLineBytes?: number;
  /** Hears once of each type that is not known. */
  readonly onUnknownType?: (type: string) => void;
}

/**
 * Splits a byte stream into lines and lines into messages. Bytes may arrive cut anywhere, also inside a character. Messages
 * of types that are not known are left out: the other end is of another version, and has more to say.
 *
 * @throws {MsiProxyError} `MSI_CONTROL_PROTOCOL` from {@link push} for a line that is too long or is no message
 */
export class MessageDecoder<Message extends MonitorMessage | ProxyMessage> {
  readonly #types: ReadonlySet<string>;
  readonly #maxLineBytes: number;
  readonly #onUnknownType: ((type: string) => void) | undefined;
  readonly #unknownTypes = new Set<string>();
  #pending: Buffer[] = [];
  #pendingBytes = 0;

  constructor(
    types: readonly Message['type'][],
    { maxLineBytes = MAX_CONTROL_LINE_BYTES, onUnknownType }: MessageDecoderOptions = {},
  ) {
    this.#types = new Set(types);
    this.#maxLineBytes = maxLineBytes;
    this.#onUnknownType = onUnknownType;
  }

  push(chunk: Buffer): Message[] {
    const messages: Message[] = [];
    let start = 0;
    for (let end = chunk.indexOf(0x0a); end !== -1; end = chunk.indexOf(0x0a, start)) {
      this.#append(chunk.subarray(start, end));
      const line = Buffer.concat(this.#pending).toString('utf8');
      this.#pending = [];
      this.#pendingBytes = 0;
      const message = line.trim() === '' ? undefined : this.#parse(line);
      if (message !== undefined) messages.push(message);
      start = end + 1;
    }
    this.#append(chunk.subarray(start));
    return messages;
  }

  #append(bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.#pendingBytes += bytes.length;
    if (this.#pendingBytes > this.#maxLineBytes) {
      throw new MsiProxyError(
        'MSI_CONTROL_PROTOCOL',
        `a control line is longer than ${this.#maxLineBytes} bytes`,
      );
    }
    this.#pending.push(bytes);
  }

  #parse(line: string): Message | undefined {
    let message: unknown;
    try {
      message = JSON.parse(line);
    } catch (cause) {
      throw new MsiProxyError('MSI_CONTROL_PROTOCOL', 'a control line is not JSON', { cause });
    }
    if (!isRecord(message) || typeof message['type'] !== 'string') {
      throw new MsiProxyError('MSI_CONTROL_PROTOCOL', 'a control message has no type');
    }
    if (this.#types.has(message['type'])) return message as unknown as Message;
    this.#noteUnknown(message['type']);
    return undefined;
  }

  #noteUnknown(type: string): void {
    if (this.#unknownTypes.size >= MAX_NOTED_TYPES || this.#unknownTypes.has(type)) return;
    this.#unknownTypes.add(type);
    this.#onUnknownType?.(shownText(type));
  }
}

export const MONITOR_MESSAGE_TYPES = [
  'hello',
  'snapshot',
  'delta',
  'confirmed',
  'role',
  'set-route',
  'list-tokens',
  'flush-tokens',
  'heartbeat',
  'list-callers',
  'witness',
] as const satisfies readonly MonitorMessage['type'][];

export const PROXY_MESSAGE_TYPES = [
  'welcome',
  'ack',
  'confirm',
  'route-set',
  'report',
  'metrics',
  'tokens',
  'tokens-flushed',
  'heartbeat',
  'callers',
] as const satisfies readonly ProxyMessage['type'][];

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
