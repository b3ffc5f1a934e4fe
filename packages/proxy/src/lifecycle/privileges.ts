import { messageOf, MsiProxyError } from '@msi-proxy/shared';

/** The calls of `process` that change who it is. Absent on Windows. */
export interface ProcessIdentity {
  getuid?(): number;
  setgroups?(groups: readonly number[]): void;
  setgid?(id: number): void;
  setuid?(id: number): void;
}

export interface PrivilegesOptions {
  readonly identity: ProcessIdentity;
  /** User id to change to; also taken for the group. */
  readonly user: number | 'root';
  /** Text of `/proc/self/status`; undefined where there is none. */
  readonly readStatus: () => string | undefined;
}

/**
 * Gives up root for good. To be called when everything that needs it is open: the port, the control socket, the route.
 *
 * @returns whether there was anything to give up
 * @throws {MsiProxyError} `MSI_PRIVILEGES_NOT_DROPPED`
 */
export function dropPrivileges({ identity, user, readStatus }: PrivilegesOptions): boolean {
  if (user === 'root' || identity.getuid?.() !== 0) return false;
  try {
    identity.setgroups?.([]);
    identity.setgid?.(user);
    identity.setuid?.(user);
  } catch (cause) {
    throw notDropped(
      `The proxy could not change to user ${user}: ${messageOf(cause)}; the container needs the capabilities SETUID and SETGID`,
      cause,
    );
  }
  // Read back: the kernel keeps capabilities across setuid where it is told to.
  if (isRootAgain(identity)) throw notDropped(`The proxy could become root again after changing to ${user}`);
  const left = capabilitiesIn(readStatus() ?? '');
  if (left.length > 0)
    throw notDropped(`The proxy still has capabilities after changing to ${user}: ${left.join(', ')}`);
  return true;
}

/** Those that the process can use, those that it could take back, and those that programs it starts would have. */
function capabilitiesIn(status: string): string[] {
  return [...status.matchAll(/^(Cap(?:Prm|Eff|Amb)):\s*([0-9a-f]+)$/gm)]
    .filter(([, , bits = '']) => /[^0]/.test(bits))
    .map(([, set, bits]) => `${set} ${bits}`);
}

function isRootAgain(identity: ProcessIdentity): boolean {
  try {
    identity.setuid?.(0);
  } catch {
    return false;
  }
  return identity.getuid?.() === 0;
}

function notDropped(text: string, cause?: unknown): MsiProxyError {
  return new MsiProxyError('MSI_PRIVILEGES_NOT_DROPPED', text, { cause });
}
