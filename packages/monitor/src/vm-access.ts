import { INTERFACES_FILE, interfaceNames } from './network-interfaces.ts';

/** Bits of linux/capability.h. */
const CAPABILITY_BITS = { NET_ADMIN: 12n, SYS_PTRACE: 19n, SYS_ADMIN: 21n } as const;

export type Capability = keyof typeof CAPABILITY_BITS;

/** Names that Docker gives to its bridges, and that of the proxies' network. */
const DOCKER_BRIDGE = /^\s*(?:docker0|docker_gwbridge|br-[0-9a-f]{12}|msi-proxy0):/m;

/** Files that the kernel has for the interface of a device, and for a bridge, in `/sys/class/net/<interface>`. */
const SIGNS_OF_A_VM = ['device/uevent', 'bridge/bridge_id'];

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
  const interfaces = readText(INTERFACES_FILE);
  if (isContainer && interfaces !== undefined && !isOfVm(interfaces, readText)) {
    return "the monitor is not on the VM's own network";
  }
  return undefined;
}

/**
 * Whether the interfaces are those of the VM. Of a container they are virtual, and no bridges. An engine need not have made a
 * bridge yet (`"bridge": "none"`), and its bridges may have any name; but a VM has a network device.
 */
function isOfVm(interfaces: string, readText: (path: string) => string | undefined): boolean {
  return (
    DOCKER_BRIDGE.test(interfaces) ||
    interfaceNames(interfaces).some(name =>
      SIGNS_OF_A_VM.some(file => readText(`/sys/class/net/${name}/${file}`) !== undefined),
    )
  );
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
