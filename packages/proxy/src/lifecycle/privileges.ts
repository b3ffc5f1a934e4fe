import { messageOf, MsiProxyError } from '@msi-proxy/shared';

/** The calls of `process` that change who it is. Absent on Windows. */
export interface ProcessIdentity {
  getuid?(): number;
  setgroups?(groups: readonly number[]): void;
  setgid?(id: number): void;
  setuid?(id: number): void;
}

/**
 * Gives up root for good. To be called when everything that needs it is open: the port, the control socket, the route.
 *
 * @returns whether there was anything to give up
 * @throws {MsiProxyError} `MSI_PRIVILEGES_NOT_DROPPED`
 */
export function dropPrivileges(identity: ProcessIdentity, user: number | 'root'): boolean {
  if (user === 'root' || identity.getuid?.() !== 0) return false;
  try {
    identity.setgroups?.([]);
    identity.setgid?.(user);
    identity.setuid?.(user);
  } catch (cause) {
    throw new MsiProxyError(
      'MSI_PRIVILEGES_NOT_DROPPED',
      `The proxy could not change to user ${user}: ${messageOf(cause)}; the container needs the capabilities SETUID and SETGID`,
      { cause },
    );
  }
  if (isRootAgain(identity)) {
    throw new MsiProxyError(
      'MSI_PRIVILEGES_NOT_DROPPED',
      `The proxy could become root again after changing to ${user}`,
    );
  }
  return true;
}

function isRootAgain(identity: ProcessIdentity): boolean {
  try {
    identity.setuid?.(0);
  } catch {
    return false;
  }
  return identity.getuid?.() === 0;
}
