import type { Service } from '../machine/service.ts';
import { WindowsError } from '../machine/windows-error.ts';
import { failed, printed, program, Refusal, type ProgramContext, type ProgramOutput } from './program.ts';

/** `net start <service>` and `net stop <service> [/y]`. */
export const net = program(
  async (argv, context) => {
    const [verb = '', name = '', ...rest] = argv.map(argument => argument.toLowerCase());
    if (verb === 'start' && name !== '' && rest.length === 0)
      return await start(find(name, context), context);
    if (verb === 'stop' && name !== '' && rest.every(option => option === '/y')) {
      return stop(find(name, context), context);
    }
    throw new Refusal(1, 'The syntax of this command is:', '', 'NET [ START | STOP ] service', '');
  },
  (error, say) => [say('systemError', error.number), '', say(error.text), ''],
);

function find(name: string, { machine }: ProgramContext): Service {
  const found = machine.service(name);
  if (found === undefined) {
    throw new Refusal(2, machine.say('invalidServiceName'), '', machine.say('moreHelp', 2185), '');
  }
  return found;
}

async function start(service: Service, { user, machine: { say } }: ProgramContext): Promise<ProgramOutput> {
  if (user !== 'ContainerAdministrator') throw new WindowsError(5);
  if (service.isRunning) return failed(2, say('alreadyStarted'), '', say('moreHelp', 2182), '');
  await service.start();
  const name = say('helpService');
  return printed(say('starting', name), say('started', name), '');
}

function stop(service: Service, { user, machine: { say } }: ProgramContext): ProgramOutput {
  const name = say('helpService');
  if (user !== 'ContainerAdministrator') throw new WindowsError(5);
  if (!service.isRunning) return failed(2, say('notStarted', name), '', say('moreHelp', 3521), '');
  service.stop();
  return printed(say('stopping', name), say('stopped', name), '');
}
