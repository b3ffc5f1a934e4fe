import { createServer, type Server } from 'node:net';
import { createInterface } from 'node:readline';
import { encodeOem } from './code-page.ts';
import type { Machine } from './machine/machine.ts';
import { runProgram } from './programs.ts';
import type { ProgramRequest, ProgramResponse } from './protocol.ts';

const NOT_FOUND_EXIT_CODE = 127;
const CRASH_EXIT_CODE = 251;

/** Runs the programs that are started in the container: they share one state. */
export function createProgramServer(machine: Machine): Server {
  return createServer(socket => {
    socket.on('error', () => {});
    createInterface(socket).once('line', line => {
      void respond(machine, JSON.parse(line) as ProgramRequest).then(response => {
        socket.end(`${JSON.stringify(response)}\n`);
      });
    });
  });
}

async function respond(machine: Machine, { name, argv, user }: ProgramRequest): Promise<ProgramResponse> {
  const { execDelayMillis, language } = machine.switches;
  await new Promise<void>(resolve => machine.clock.setTimer(resolve, execDelayMillis));
  const encoded = (text: string) => encodeOem(text.replaceAll('\n', '\r\n'), language).toString('base64');
  try {
    const result = await runProgram(machine, user, name, argv);
    return {
      exitCode: result?.exitCode ?? NOT_FOUND_EXIT_CODE,
      stdoutBase64: encoded(result?.stdout ?? ''),
      stderrBase64: encoded(result?.stderr ?? ''),
    };
  } catch (error) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { exitCode: CRASH_EXIT_CODE, stdoutBase64: '', stderrBase64: encoded(`simulator: ${text}\n`) };
  }
}
