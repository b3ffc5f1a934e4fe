import { IMDS_ADDRESS, WIRESERVER_ADDRESS } from '@msi-proxy/shared';
import { mustRun, type Argv } from './run-command.ts';

/** The VM's own address, as the outside of the VM sees it. */
export const VM_ADDRESS = '10.0.0.4';
const GATEWAY_ADDRESS = '10.0.0.1';

/**
 * Two network namespaces with one cable: the VM, and what Azure's host answers for it. Neither has a way out, so
 * nothing that is sent to Azure's addresses here can reach the real ones.
 */
export async function createNetwork(vm: string, imds: string): Promise<void> {
  const commands: Argv[] = [
    ['ip', 'netns', 'add', vm],
    ['ip', 'netns', 'add', imds],
    ['ip', 'link', 'add', 'eth0', 'netns', vm, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', imds],
    ['ip', '-n', imds, 'link', 'set', 'lo', 'up'],
    ['ip', '-n', imds, 'address', 'add', `${IMDS_ADDRESS}/32`, 'dev', 'lo'],
    ['ip', '-n', imds, 'address', 'add', `${WIRESERVER_ADDRESS}/32`, 'dev', 'lo'],
    ['ip', '-n', imds, 'address', 'add', `${GATEWAY_ADDRESS}/24`, 'dev', 'eth0'],
    ['ip', '-n', imds, 'link', 'set', 'eth0', 'up'],
    ['ip', '-n', vm, 'link', 'set', 'lo', 'up'],
    ['ip', '-n', vm, 'address', 'add', `${VM_ADDRESS}/24`, 'dev', 'eth0'],
    ['ip', '-n', vm, 'link', 'set', 'eth0', 'up'],
    ['ip', '-n', vm, 'route', 'add', 'default', 'via', GATEWAY_ADDRESS],
  ];
  for (const command of commands) await mustRun(command);
}

/** The command, run in a network namespace. Not `ip netns exec`: it remounts /sys, which hides the control groups. */
export function inNamespace(namespace: string, argv: Argv): Argv {
  return ['nsenter', `--net=/var/run/netns/${namespace}`, ...argv];
}
