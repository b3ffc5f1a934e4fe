import type { Argv } from '../../test/lab/index.ts';

// Without Docker's chain for users the monitor looks for it by each of iptables' programs, each time.
const SET_UP =
  'ip link set lo up && iptables -N DOCKER-USER && iptables -I FORWARD -j DOCKER-USER && exec "$@"';

/**
 * Runs a program in a network namespace of its own, from which nothing leads anywhere, with packet rules as Docker has them. The
 * process is the program's.
 */
export function inDockerVm(argv: Argv): Argv {
  return ['unshare', '--net', 'sh', '-c', SET_UP, 'sh', ...argv];
}
