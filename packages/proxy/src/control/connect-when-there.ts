import { connect, type Socket } from 'node:net';
import { codeOf, pause, type Clock } from '@msi-proxy/shared';

export interface ConnectWhenThereOptions {
  readonly socketPath: string;
  readonly clock: Clock;
  /** How long somebody who is not there yet is waited for. */
  readonly patienceMillis: number;
  /** Ends the waiting. */
  readonly signal: AbortSignal;
}

const RETRY_MILLIS = 20;
const NOT_THERE_YET: readonly (string | undefined)[] = ['ENOENT', 'ECONNREFUSED'];

/**
 * Connects to a local socket, which its server may still be about to open.
 *
 * @throws {Error} of the system, when nobody is there in time or the socket cannot be used
 */
export async function connectWhenThere(options: ConnectWhenThereOptions): Promise<Socket> {
  const { socketPath, clock, patienceMillis, signal } = options;
  const startMillis = clock.monotonicMillis();
  for (;;) {
    try {
      return await connected(socketPath);
    } catch (error) {
      const isLate = clock.monotonicMillis() - startMillis >= patienceMillis;
      if (isLate || signal.aborted || !NOT_THERE_YET.includes(codeOf(error))) throw error;
    }
    await pause(clock, RETRY_MILLIS, signal);
  }
}

function connected(socketPath: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(socketPath);
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      resolve(socket);
    });
  });
}
