import { connect } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import {
  encodeMessage,
  EXIT_FAILURE,
  EXIT_OK,
  HEARTBEAT_TIMEOUT_MILLIS,
  MessageDecoder,
  messageOf,
  MONITOR_MESSAGE_TYPES,
  type Clock,
  type MonitorMessage,
  type SetRoute,
} from '@msi-proxy/shared';

export interface ControlCommandOptions {
  readonly socketPath: string;
  readonly stdin: Readable;
  readonly stdout: Writable;
  readonly stderr: Writable;
  readonly clock: Clock;
  /** Moves the route to IMDS; the server itself may not any more. */
  readonly setRoute: (wanted: Pick<SetRoute, 'address' | 'gateway'>) => Promise<void>;
}

/**
 * `msi-proxy control`: joins the monitor, which started it by `docker exec`, to the server. Runs as root and so carries
 * out `set-route` itself. Ends when either side does, and when the monitor has not been heard for too long: after an
 * engine restart with live-restore its streams stay open, but nobody is at the other end.
 *
 * @returns the exit code
 */
export async function runControl(options: ControlCommandOptions): Promise<number> {
  const { socketPath, stdin, stdout, stderr, clock, setRoute } = options;
  const decoder = new MessageDecoder<MonitorMessage>(MONITOR_MESSAGE_TYPES);
  const ended = Promise.withResolvers<number>();
  const socket = connect(socketPath);
  socket.on('error', error => {
    stderr.write(`MSI_CONTROL_UNAVAILABLE: ${socketPath}: ${messageOf(error)}\n`);
    ended.resolve(EXIT_FAILURE);
  });
  socket.on('close', () => ended.resolve(EXIT_OK));
  socket.on('data', (chunk: Buffer) => stdout.write(chunk));

  let lastHeardMillis = clock.monotonicMillis();
  const watch = () => {
    if (clock.monotonicMillis() - lastHeardMillis > HEARTBEAT_TIMEOUT_MILLIS) ended.resolve(EXIT_OK);
    else timer = clock.setTimer(watch, HEARTBEAT_TIMEOUT_MILLIS / 10);
  };
  let timer = clock.setTimer(watch, HEARTBEAT_TIMEOUT_MILLIS / 10);

  const carryOut = async ({ requestId, address, gateway }: SetRoute): Promise<void> => {
    const outcome = await setRoute({ address, gateway }).then(
      () => ({ ok: true, message: `route moved to ${gateway}` }),
      (error: unknown) => ({ ok: false, message: messageOf(error) }),
    );
    stdout.write(encodeMessage({ type: 'route-set', requestId, ...outcome }));
  };
  stdin.on('data', (chunk: Buffer) => {
    lastHeardMillis = clock.monotonicMillis();
    try {
      for (const message of decoder.push(chunk)) {
        if (message.type === 'set-route') void carryOut(message);
        else socket.write(encodeMessage(message));
      }
    } catch (error) {
      stderr.write(`${messageOf(error)}\n`);
      ended.resolve(EXIT_FAILURE);
    }
  });
  stdin.on('end', () => ended.resolve(EXIT_OK));
  stdin.on('error', () => ended.resolve(EXIT_OK));
  stdout.on('error', () => ended.resolve(EXIT_OK));

  const code = await ended.promise;
  timer.cancel();
  socket.destroy();
  stdin.destroy();
  return code;
}
