import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout } from 'node:timers/promises';
import { SOCKET_PATH, type ProgramRequest, type ProgramResponse } from './protocol.ts';

/** The container's first process needs a moment before it listens. */
const MAX_ATTEMPTS = 100;
const RETRY_MILLIS = 50;

/** Has the container's first process run a program. */
export async function runInMachine(request: ProgramRequest): Promise<ProgramResponse> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await ask(request);
    } catch (error) {
      if (attempt === MAX_ATTEMPTS) throw error;
      await setTimeout(RETRY_MILLIS);
    }
  }
}

async function ask(request: ProgramRequest): Promise<ProgramResponse> {
  const socket = connect(SOCKET_PATH);
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve).once('error', reject);
  });
  // Not ended before the answer: the other side would close.
  socket.write(`${JSON.stringify(request)}\n`);
  return JSON.parse(await text(socket)) as ProgramResponse;
}
