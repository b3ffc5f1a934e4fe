import { MsiProxyError, type CommandRunner, type HostPort, type MonitorStatus } from '@msi-proxy/shared';
import { VM_TABLE } from './guard/vm-table.ts';
import { Nft } from './nft/nft.ts';

export interface OtherMonitorOptions {
  /** Where this monitor is to serve its status. */
  readonly listen: HostPort;
  /** Runs programs in the VM's network namespace; absent where there are no packet rules. */
  readonly runner?: CommandRunner;
  readonly fetchStatus: (listen: HostPort) => Promise<MonitorStatus>;
}

/**
 * Two monitors of one VM would undo each other's rules and take the proxy's session from each other, so the second one does
 * not begin. One that answers without the rules that a monitor sets is not believed: any program may listen there, and must not
 * keep a VM from its guard.
 *
 * @throws {MsiProxyError} `MSI_SECOND_MONITOR` when another one serves
 */
export async function refuseSecondMonitor({
  listen,
  runner,
  fetchStatus,
}: OtherMonitorOptions): Promise<void> {
  const other = await fetchStatus(listen).catch(() => undefined);
  if (other === undefined) return;
  if (runner !== undefined && !(await hasRules(runner))) return;
  throw new MsiProxyError(
    'MSI_SECOND_MONITOR',
    `Another monitor of this VM serves its status at ${listen.host}:${listen.port} (MSI_MONITOR_LISTEN); stop one of them`,
  );
}

async function hasRules(runner: CommandRunner): Promise<boolean> {
  return await new Nft(runner).read(VM_TABLE).then(
    table => table !== undefined,
    () => false,
  );
}
