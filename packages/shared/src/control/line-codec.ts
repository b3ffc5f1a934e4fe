import { MsiProxyError } from '../errors/msi-proxy-error.ts';
import { MAX_CONTROL_LINE_BYTES, type MonitorMessage, type ProxyMessage } from './messages.ts';

export function encodeMessage(message: MonitorMessage | ProxyMessage): string {
  return `${JSON.stringify(message)}\n`;
}

/**
 * Splits a byte stream into lines and lines into messages. Bytes may arrive cut anywhere, also inside a character.
 *
 * @throws {MsiProxyError} `MSI_CONTROL_PROTOCOL` from {@link push} for a line that is too long or is no message
 */
export class MessageDecoder<Message extends MonitorMessage | ProxyMessage> {
  readonly #types: ReadonlySet<string>;
  readonly #maxLineBytes: number;
  #pending: Buffer[] = [];
  #pendingBytes = 0;

  constructor(types: readonly Message['type'][], maxLineBytes = MAX_CONTROL_LINE_BYTES) {
    this.#types = new Set(types);
    this.#maxLineBytes = maxLineBytes;
  }

  push(chunk: Buffer): Message[] {
    const messages: Message[] = [];
    let start = 0;
    for (let end = chunk.indexOf(0x0a); end !== -1; end = chunk.indexOf(0x0a, start)) {
      this.#append(chunk.subarray(start, end));
      const line = Buffer.concat(this.#pending).toString('utf8');
      this.#pending = [];
      this.#pendingBytes = 0;
      if (line.trim() !== '') messages.push(this.#parse(line));
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

  #parse(line: string): Message {
    let message: unknown;
    try {
      message = JSON.parse(line);
    } catch (cause) {
      throw new MsiProxyError('MSI_CONTROL_PROTOCOL', 'a control line is not JSON', { cause });
    }
    if (!isRecord(message) || typeof message['type'] !== 'string' || !this.#types.has(message['type'])) {
      const expected = [...this.#types].join(', ');
      throw new MsiProxyError(
        'MSI_CONTROL_PROTOCOL',
        `a control message has no known type; expected one of ${expected}`,
      );
    }
    return message as unknown as Message;
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
