import type { Service, StartType } from '../machine/service.ts';
import { WindowsError } from '../machine/windows-error.ts';
import { NonTerminating, requireRights, type Cmdlet, type CmdletContext } from './cmdlet.ts';
import { toJson } from './json.ts';
import type { BoundParameters } from './parameters.ts';
import { Enumeration, PsObject, type Value } from './values.ts';

const DEFAULT_JSON_DEPTH = 2;

/** Cmdlets of Microsoft.PowerShell.Management and .Utility (learn.microsoft.com), with the parameters simulated. */
export const SYSTEM_CMDLETS: readonly Cmdlet[] = [
  {
    name: 'Get-Service',
    parameters: { Name: { type: 'text', mandatory: true } },
    run: (parameters, context) => [serviceObject(findService('Get-Service', parameters, context))],
  },
  serviceCmdlet('Start-Service', 'CouldNotStartService', {}, async service => await service.start()),
  serviceCmdlet('Restart-Service', 'CouldNotStopService', { Force: { type: 'switch' } }, async service => {
    service.stop();
    await service.start();
  }),
  serviceCmdlet(
    'Set-Service',
    'CouldNotSetService',
    { StartupType: { type: ['Automatic', 'Manual', 'Disabled'], mandatory: true } },
    (service, parameters) => {
      service.startType = parameters.text('StartupType') as StartType;
    },
  ),
  {
    name: 'Start-Sleep',
    parameters: { Milliseconds: { type: 'integer', mandatory: true } },
    run: async (parameters, { machine }) => {
      await new Promise<void>(resolve =>
        machine.clock.setTimer(resolve, parameters.integer('Milliseconds')!),
      );
      return [];
    },
  },
  {
    name: 'ConvertTo-Json',
    parameters: {
      InputObject: { type: 'any', mandatory: true },
      Depth: { type: 'integer' },
      // Without it, the layout would have to be that of version 5.1.
      Compress: { type: 'switch', mandatory: true },
    },
    run: parameters => [
      toJson(parameters.value('InputObject'), parameters.integer('Depth') ?? DEFAULT_JSON_DEPTH),
    ],
  },
];

function serviceCmdlet(
  name: string,
  errorId: string,
  parameters: Cmdlet['parameters'],
  change: (service: Service, parameters: BoundParameters) => Promise<void> | void,
): Cmdlet {
  return {
    name,
    parameters: { Name: { type: 'text', mandatory: true }, ...parameters },
    async run(bound, context) {
      const service = findService(name, bound, context);
      try {
        requireRights(context);
        await change(service, bound);
      } catch (error) {
        if (!(error instanceof WindowsError)) throw error;
        const reason = context.machine.say(error.text);
        throw new NonTerminating(
          `Service '${context.machine.say('helpService')} (${service.name})': ${reason}`,
          `${errorId},${className(name)}`,
        );
      }
      return [];
    },
  };
}

function findService(cmdlet: string, parameters: BoundParameters, { machine }: CmdletContext): Service {
  const name = parameters.text('Name')!;
  const service = machine.service(name);
  if (service !== undefined) return service;
  throw new NonTerminating(
    `Cannot find any service with service name '${name}'.`,
    `NoServiceFoundForGivenName,${className(cmdlet)}`,
  );
}

function className(cmdlet: string): string {
  return `Microsoft.PowerShell.Commands.${cmdlet.replace('-', '')}Command`;
}

/** Numbers of .NET's ServiceControllerStatus and ServiceStartMode. */
const START_TYPE_NUMBERS: Readonly<Record<StartType, number>> = { Automatic: 2, Manual: 3, Disabled: 4 };

function serviceObject({ name, isRunning, startType }: Service): Value {
  return new PsObject('System.ServiceProcess.ServiceController', {
    Name: name,
    Status: isRunning ? new Enumeration('Running', 4) : new Enumeration('Stopped', 1),
    StartType: new Enumeration(startType, START_TYPE_NUMBERS[startType]),
  });
}
