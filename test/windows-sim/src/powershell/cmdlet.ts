import type { User } from '../commands/program.ts';
import type { Machine } from '../machine/machine.ts';
import { WindowsError } from '../machine/windows-error.ts';
import type { BoundParameters, ParameterTable } from './parameters.ts';
import { PsError, type Value } from './values.ts';

export interface CmdletContext {
  readonly machine: Machine;
  readonly user: User;
}

export interface Cmdlet {
  readonly name: string;
  readonly parameters: ParameterTable;
  readonly run: (
    parameters: BoundParameters,
    context: CmdletContext,
  ) => readonly Value[] | Promise<readonly Value[]>;
}

/** An error that a cmdlet reports and that ends it only where `ErrorAction` says so. */
export class NonTerminating extends PsError {}

/** CIM cmdlets name Windows' own error in the id, whatever the language. */
export function cimCmdlet({ name, parameters, run }: Cmdlet): Cmdlet {
  return {
    name,
    parameters,
    async run(bound, context) {
      try {
        return await run(bound, context);
      } catch (error) {
        if (!(error instanceof WindowsError)) throw error;
        const message = context.machine.say(error.text);
        throw new NonTerminating(message, `Windows System Error ${error.number},${name}`);
      }
    },
  };
}

/** @throws {WindowsError} 5 */
export function requireRights({ user }: CmdletContext): void {
  if (user !== 'ContainerAdministrator') throw new WindowsError(5);
}
