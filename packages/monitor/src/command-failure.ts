import { type CommandResult, MsiProxyError } from '@msi-proxy/shared';

/** As the kernel's EPERM and EACCES are put into words by nft, iptables, conntrack, ip and nsenter. */
const NOT_ALLOWED = /operation not permitted|permission denied|you must be root/i;

const MAX_DETAIL_CHARACTERS = 2_000;

/**
 * The error for a command whose exit code says that it failed.
 *
 * @param doing what it was run for, in words that follow "could not"
 */
export function commandFailure(
  file: string,
  { exitCode, stderr }: CommandResult,
  doing: string,
): MsiProxyError {
  const details = { command: file, exitCode, stderr: stderr.trim().slice(0, MAX_DETAIL_CHARACTERS) };
  if (NOT_ALLOWED.test(stderr)) {
    const capability = file === 'nsenter' ? 'SYS_ADMIN' : 'NET_ADMIN';
    return new MsiProxyError(
      'MSI_WIRING_NO_CAPABILITY',
      `${file} could not ${doing}: the monitor lacks the capability ${capability}`,
      { details },
    );
  }
  return new MsiProxyError('MSI_WIRING_COMMAND', `${file} could not ${doing} (exit code ${exitCode})`, {
    details,
  });
}
