/** Bits of linux/capability.h. */
const CAPABILITY_BITS = { NET_ADMIN: 12n, SYS_PTRACE: 19n, SYS_ADMIN: 21n } as const;

export type Capability = keyof typeof CAPABILITY_BITS;

/** Names that Docker gives to its bridges, and that of the proxies' network. */
const DOCKER_BRIDGE = /^\s*(?:docker0|docker_gwbridge|br-[0-9a-f]{12}|msi-proxy0):/m;

const CONTAINER_MARKS = ['/.dockerenv', '/run/.containerenv'];

/**
 * Whether this process can set the packet rules of the VM.
 *
 * @param readText gives the text of a file; undefined when there is none
 * @returns why it cannot; undefined when it can, or when nothing tells
 */
export function missingVmAccess(readText: (path: string) => string | undefined): string | undefined {
  if (lacksCapability('NET_ADMIN', readText)) return 'the monitor has no capability NET_ADMIN';
  const isContainer = CONTAINER_MARKS.some(path => readText(path) !== undefined);
  const interfaces = readText('/proc/self/net/dev');
  if (isContainer && interfaces !== undefined && !DOCKER_BRIDGE.test(interfaces)) {
    return "the monitor is not on the VM's own network";
  }
  return undefined;
}

/** Whether this process is known not to have it. */
export function lacksCapability(
  capability: Capability,
  readText: (path: string) => string | undefined,
): boolean {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(readText('/proc/self/status') ?? '')?.[1];
  if (effective === undefined) return false;
  return ((BigInt(`0x${effective}`) >> CAPABILITY_BITS[capability]) & 1n) === 0n;
}
