import { MsiProxyError, type CommandResult } from '@msi-proxy/shared';
import type { ContainerCommands } from './container-commands.ts';
import type { ForwardingShell } from './forwarding-shell.ts';
import type { Observation } from './observation.ts';
import { parseReport } from './powershell-report.ts';
import { applyScript, powershellArgv, removeScript } from './powershell-script.ts';

const MAX_DETAIL_CHARACTERS = 2_000;

/** Windows PowerShell 5.1, which servercore and larger images have: everything in one round trip. */
export function powershell(commands: ContainerCommands): ForwardingShell {
  const run = async (script: string): Promise<Observation | undefined> => {
    const result = await commands.run(powershellArgv(script));
    return result && reportOf(result);
  };
  return {
    ensure: async (clientAddress, target) => await run(applyScript(clientAddress, target)),
    remove: async clientAddress => await run(removeScript(clientAddress)),
  };
}

function reportOf({ exitCode, stdout, stderr }: CommandResult): Observation {
  const report = parseReport(stdout);
  if (report !== undefined) return report;
  throw new MsiProxyError(
    'MSI_WIRING_COMMAND',
    `PowerShell ended without a report (exit code ${exitCode}): its image may restrict it`,
    {
      details: {
        command: 'powershell',
        exitCode,
        stdout: stdout.slice(0, MAX_DETAIL_CHARACTERS),
        stderr: stderr.slice(0, MAX_DETAIL_CHARACTERS),
      },
    },
  );
}
