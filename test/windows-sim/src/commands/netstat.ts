import { printed, program, Refusal } from './program.ts';

/** Programs are not told apart here: everything belongs to one. */
const PROCESS_ID = 4;

/** `netstat -ano -p tcp`. */
export const netstat = program(
  async (argv, { machine }) => {
    if (argv.join(' ').toLowerCase() !== '-ano -p tcp') {
      throw new Refusal(1, 'Displays protocol statistics and current TCP/IP network connections.', '');
    }
    const { say, linux } = machine;
    return await Promise.resolve(
      printed(
        '',
        say('activeConnections'),
        '',
        say('connectionHeading'),
        ...linux
          .tcpEndpoints()
          .map(({ local, remote, state }) =>
            ['  TCP   ', local.padEnd(22), remote.padEnd(22), say(state).padEnd(15), PROCESS_ID].join(' '),
          ),
      ),
    );
  },
  (error, say) => [say(error.text)],
);
