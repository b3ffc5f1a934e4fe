import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { pause, type Clock } from '@msi-proxy/shared';
import type { Reply } from '../http/reply.ts';
import { renderReply, sendReply } from '../http/send-reply.ts';
import type { FaultRule } from './fault-rule.ts';

export interface Transmission {
  readonly response: ServerResponse;
  readonly socket: Socket;
  readonly reply: Reply;
  readonly rule: FaultRule | undefined;
  readonly clock: Clock;
  /** Ends waits: the client is gone, or the emulator stops. */
  readonly signal: AbortSignal;
}

/** Whether the whole answer is sent under this rule. */
export function sendsWholeReply(rule: FaultRule | undefined): boolean {
  return rule?.fault !== 'hang' && rule?.fault !== 'reset' && rule?.fault !== 'truncate';
}

/**
 * Sends an answer, in the way that its fault demands.
 *
 * @returns `false` when a signal ended it early
 */
export async function transmit(transmission: Transmission): Promise<boolean> {
  const { response, socket, reply, rule, signal } = transmission;
  switch (rule?.fault) {
    case 'hang':
      if (!signal.aborted) await once(signal, 'abort');
      socket.destroy();
      return false;
    case 'reset':
      await write(socket, bytesOf(transmission).subarray(0, rule.afterBytes));
      socket.resetAndDestroy();
      return true;
    case 'truncate':
      socket.end(truncatedBytes(transmission, rule.bodyBytes));
      return true;
    case 'drip':
      return drip(transmission, rule);
    case undefined:
    case 'delay':
    case 'status':
    case 'front-door-page': {
      const closed = once(response, 'close');
      sendReply(response, reply);
      await closed;
      return response.writableFinished;
    }
  }
}

function truncatedBytes(transmission: Transmission, bodyBytes: number | undefined): Buffer {
  const bytes = bytesOf(transmission);
  const bodyLength = Buffer.byteLength(transmission.reply.body);
  const kept = Math.min(bodyBytes ?? Math.floor(bodyLength / 2), bodyLength);
  return bytes.subarray(0, bytes.length - bodyLength + kept);
}

async function drip(
  transmission: Transmission,
  { bytesPerWrite, intervalMillis }: { readonly bytesPerWrite: number; readonly intervalMillis: number },
): Promise<boolean> {
  const { socket, clock, signal } = transmission;
  const bytes = bytesOf(transmission);
  for (let start = 0; start < bytes.length; start += bytesPerWrite) {
    if (start > 0) await pause(clock, intervalMillis, signal);
    if (signal.aborted) {
      socket.destroy();
      return false;
    }
    await write(socket, bytes.subarray(start, start + bytesPerWrite));
  }
  socket.end();
  return true;
}

function bytesOf({ reply, clock }: Transmission): Buffer {
  return renderReply(reply, new Date(clock.wallMillis()));
}

async function write(socket: Socket, bytes: Buffer): Promise<void> {
  if (bytes.length === 0) return;
  await new Promise<void>(resolve => {
    // A failed write means that the client is gone, which the signal tells.
    socket.write(bytes, () => resolve());
  });
}
