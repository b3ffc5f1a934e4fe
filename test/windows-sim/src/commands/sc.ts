import type { Speaker } from '../language.ts';
import type { Service, StartType } from '../machine/service.ts';
import { WindowsError } from '../machine/windows-error.ts';
import { printed, program, Refusal, type ProgramContext, type ProgramOutput } from './program.ts';

const START_TYPES: Readonly<Record<string, StartType>> = {
  auto: 'Automatic',
  demand: 'Manual',
  disabled: 'Disabled',
};

/** `sc query <service>` and `sc config <service> start= <type>`; its own words are English in every language. */
export const sc = program(
  async (argv, context) => {
    const [verb = '', name = '', ...rest] = argv;
    if (verb.toLowerCase() === 'query' && name !== '' && rest.length === 0) {
      return await Promise.resolve(query(find(name, 'EnumQueryServicesStatus:OpenService', context)));
    }
    if (verb.toLowerCase() === 'config' && name !== '') return config(name, rest, context);
    throw new Refusal(1639, 'ERROR:  Unrecognized command', '');
  },
  (error, say) => [`[SC] FAILED ${error.number}:`, '', say(error.text), ''],
);

function find(name: string, call: string, { machine }: ProgramContext): Service {
  const service = machine.service(name);
  if (service !== undefined) return service;
  throw failure(call, new WindowsError(1060), machine.say);
}

function query(service: Service): ProgramOutput {
  const state = service.isRunning ? '4  RUNNING ' : '1  STOPPED ';
  const controls = service.isRunning ? '(STOPPABLE, NOT_PAUSABLE, ACCEPTS_SHUTDOWN)' : undefined;
  return printed(
    '',
    `SERVICE_NAME: ${service.name} `,
    '        TYPE               : 30  WIN32  ',
    `        STATE              : ${state}`,
    ...(controls === undefined ? [] : [`                                ${controls}`]),
    '        WIN32_EXIT_CODE    : 0  (0x0)',
    '        SERVICE_EXIT_CODE  : 0  (0x0)',
    '        CHECKPOINT         : 0x0',
    '        WAIT_HINT          : 0x0',
  );
}

function config(name: string, rest: readonly string[], context: ProgramContext): ProgramOutput {
  // The blank after `start=` is part of the syntax (learn.microsoft.com, "sc.exe config").
  const [option, value = '', ...others] = rest;
  const startType = START_TYPES[value.toLowerCase()];
  if (option?.toLowerCase() !== 'start=' || startType === undefined || others.length > 0) {
    throw new Refusal(1639, 'ERROR:  Invalid Option', '');
  }
  const service = find(name, 'OpenService', context);
  if (context.user !== 'ContainerAdministrator') {
    throw failure('OpenService', new WindowsError(5), context.machine.say);
  }
  service.startType = startType;
  return printed('[SC] ChangeServiceConfig SUCCESS');
}

function failure(call: string, error: WindowsError, say: Speaker): Refusal {
  return new Refusal(error.number, `[SC] ${call} FAILED ${error.number}:`, '', say(error.text), '');
}
