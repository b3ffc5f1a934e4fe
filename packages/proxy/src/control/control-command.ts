import type { Readable, Writable } from 'node:stream';
import {
  encodeMessage,
  EXIT_FAILURE,
  EXIT_OK,
  HEARTBEAT_TIMEOUT_MILLIS,
  MessageDecoder,
  messageOf,
  MONITOR_MESSAGE_TYPES,
  PROXY_MESSAGE_TYPES,
  type Clock,
  type MonitorMessage,
  type ProxyMessage,
  type SetRoute,
} from '@msi-proxy/shared';
import { connectWhenThere } from './connect-when-there.ts';

export interface ControlCommandOptions {
  readonly socketPath: string;
  readonly stdin: Readable;
  readonly stdout: Writable;
  readonly stderr: Writable;
  readonly clock: Clock;
  /** Moves the route to IMDS; the server itself may not any more. Absent where the operator wants none. */
  readonly setRoute?: (
    wanted: Pick<SetRoute, 'address' | 'gateway' | 'holdsImdsAddress'>,
  ) => Promise<unknown>;
}

const CHECK_INTERVAL_MILLIS = HEARTBEAT_TIMEOUT_MILLIS / 10;

/**
 * The monitor starts this as soon as the container runs, which is before the server listens. Another `docker exec` costs
 * a fifth of a second and more, in which clients would wait.
 */
const SERVER_PATIENCE_MILLIS = 5_000;

/**
 * `msi-proxy control`: joins the monitor, which started it by `docker exec`, to the server. Runs as root and so carries
 * out `set-route` itself. Ends when either side does, and when the monitor has not been heard for too long: after an
 * engine restart with live-restore its streams stay open, but nobody is at the other end.
 *
 * @returns the exit code
 */
export async function runControl(options: ControlCommandOptions): Promise<number> {
  const { socketPath, stdin, stdout, stderr, clock, setRoute } = options;
  const ended = Promise.withResolvers<number>();
  const giveUp = new AbortController();
  const end = (exitCode: number) => () => ended.resolve(exitCode);
  const fail = (text: string) => {
    stderr.write(`${text}\n`);
    ended.resolve(EXIT_FAILURE);
  };

  const failConnection = (error: unknown) =>
    fail(`MSI_CONTROL_UNAVAILABLE: ${socketPath}: ${messageOf(error)}`);
  const patience = { patienceMillis: SERVER_PATIENCE_MILLIS, signal: giveUp.signal };
  const server = connectWhenThere({ socketPath, clock, ...patience }).then(socket => {
    socket.on('error', failConnection);
    socket.on('close', end(EXIT_OK));
    // Whole messages both ways: `route-set` must not fall into the middle of one.
    const fromProxy = new MessageDecoder<ProxyMessage>(PROXY_MESSAGE_TYPES);
    relayMessages(socket, fromProxy, message => stdout.write(encodeMessage(message)), fail);
    return socket;
  });
  server.catch((error: unknown) => {
    // Who has ended meanwhile has nothing to complain of.
    if (!giveUp.signal.aborted) failConnection(error);
  });
  const tellServer = (message: MonitorMessage) => {
    server.then(
      socket => socket.write(encodeMessage(message)),
      () => undefined,
    );
  };

  const carryOut = async (message: SetRoute): Promise<void> => {
    const { requestId, address, gateway, holdsImdsAddress } = message;
    const wanted = { address, gateway, ...(holdsImdsAddress !== undefined && { holdsImdsAddress }) };
    const outcome =
      setRoute === undefined
        ? { ok: true, message: 'the route to IMDS is left to the operator' }
        : await setRoute(wanted).then(
            () => {
              tellServer(message);
              return { ok: true, message: `the route to IMDS goes through ${gateway}` };
            },
            (error: unknown) => ({ ok: false, message: messageOf(error) }),
          );
    stdout.write(encodeMessage({ type: 'route-set', requestId, ...outcome }));
  };
  let routing = Promise.resolve();
  const fromMonitor = new MessageDecoder<MonitorMessage>(MONITOR_MESSAGE_TYPES);
  const onMonitorMessage = (message: MonitorMessage) => {
    lastHeardMillis = clock.monotonicMillis();
    // One after the other: the last one wanted is the one that holds.
    if (message.type === 'set-route') routing = routing.then(() => carryOut(message));
    else tellServer(message);
  };
  relayMessages(stdin, fromMonitor, onMonitorMessage, fail);
  stdin.on('end', end(EXIT_OK));
  stdin.on('error', end(EXIT_OK));
  stdout.on('error', end(EXIT_OK));

  let lastHeardMillis = clock.monotonicMillis();
  const watch = () => {
    if (clock.monotonicMillis() - lastHeardMillis > HEARTBEAT_TIMEOUT_MILLIS) {
      fail('MSI_CONTROL_UNAVAILABLE: the monitor has not been heard for too long');
    } else timer = clock.setTimer(watch, CHECK_INTERVAL_MILLIS);
  };
  let timer = clock.setTimer(watch, CHECK_INTERVAL_MILLIS);

  const exitCode = await ended.promise;
  timer.cancel();
  giveUp.abort();
  server.then(
    socket => socket.destroy(),
    () => undefined,
  );
  stdin.destroy();
  return exitCode;
}

function relayMessages<Message extends MonitorMessage | ProxyMessage>(
  source: Readable,
  decoder: MessageDecoder<Message>,
  take: (message: Message) => void,
  fail: (text: string) => void,
): void {
  source.on('data', (chunk: Buffer) => {
    try {
      for (const message of decoder.push(chunk)) take(message);
    } catch (error) {
      fail(`MSI_CONTROL_PROTOCOL: ${messageOf(error)}`);
    }
  });
}
