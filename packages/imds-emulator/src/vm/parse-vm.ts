import { isIP } from 'node:net';
import { isGuid, isIdentityResourceId } from '@msi-proxy/shared';
import {
  choice,
  listOf,
  nullable,
  objectOf,
  recordOf,
  text,
  wholeNumber,
  type Decoded,
  type DocumentProblem,
} from '../decode/decoder.ts';
import { DEFAULT_VM } from './default-vm.ts';
import type {
  AddressPair,
  InboundRule,
  LoadBalancer,
  NetworkInterface,
  ScheduledEvent,
  SystemAssignedIdentity,
  UserAssignedIdentity,
  VirtualMachine,
} from './virtual-machine.ts';

const guid = text('a GUID', isGuid);
const name = text('1 to 90 letters, digits, ".", "_", "-", "(" or ")"', value =>
  /^[\w.()-]{1,90}$/.test(value),
);
const anyText = text('a text');
const ipAddress = text('an IP address', value => isIP(value) !== 0);
const port = wholeNumber(0, 65_535);

const systemAssignedIdentity = objectOf<SystemAssignedIdentity>({ clientId: guid, objectId: guid });

const userAssignedIdentity = objectOf<UserAssignedIdentity>({
  name,
  clientId: guid,
  objectId: guid,
  resourceId: text(
    'a resource id such as "/subscriptions/<GUID>/resourceGroups/<name>/providers/Microsoft.ManagedIdentity/userAssignedIdentities/<name>"',
    isIdentityResourceId,
  ),
});

const networkInterface = objectOf<NetworkInterface>(
  {
    macAddress: text('12 hexadecimal digits', value => /^[0-9A-F]{12}$/i.test(value)),
    privateIpAddress: ipAddress,
    publicIpAddress: text('an IP address or an empty text', value => value === '' || isIP(value) !== 0),
    subnetAddress: ipAddress,
    subnetPrefixLength: wholeNumber(0, 128),
  },
  { publicIpAddress: '' },
);

const addressPair = objectOf<AddressPair>({ frontendIpAddress: ipAddress, privateIpAddress: ipAddress });

const loadBalancer = objectOf<LoadBalancer>(
  {
    publicIpAddresses: listOf(addressPair),
    inboundRules: listOf(
      objectOf<InboundRule>({
        frontendIpAddress: ipAddress,
        privateIpAddress: ipAddress,
        protocol: choice(['tcp', 'udp']),
        frontendPort: port,
        backendPort: port,
      }),
    ),
    outboundRules: listOf(addressPair),
  },
  { publicIpAddresses: [], inboundRules: [], outboundRules: [] },
);

const scheduledEvent = objectOf<ScheduledEvent>(
  {
    eventId: guid,
    eventType: choice(['Freeze', 'Reboot', 'Redeploy', 'Preempt', 'Terminate']),
    resources: listOf(anyText),
    notBefore: anyText,
    description: anyText,
    eventSource: choice(['Platform', 'User']),
    // -1 is what Azure says when the duration is not known.
    durationSeconds: wholeNumber(-1, 86_400),
  },
  { description: '', eventSource: 'Platform', durationSeconds: -1 },
);

const virtualMachine = objectOf<VirtualMachine>(
  {
    name,
    vmId: guid,
    tenantId: guid,
    subscriptionId: guid,
    resourceGroup: name,
    location: anyText,
    zone: anyText,
    size: anyText,
    osType: choice(['Linux', 'Windows']),
    tags: recordOf(anyText),
    userData: anyText,
    systemAssignedIdentity: nullable(systemAssignedIdentity),
    userAssignedIdentities: listOf(userAssignedIdentity),
    interfaces: listOf(networkInterface),
    loadBalancer: nullable(loadBalancer),
    scheduledEvents: listOf(scheduledEvent),
  },
  DEFAULT_VM,
);

/**
 * Reads a VM description. Fields that are absent are those of {@link DEFAULT_VM}.
 *
 * @returns the VM, or every problem found
 */
export function parseVirtualMachine(document: unknown): Decoded<VirtualMachine> {
  const decoded = virtualMachine(document, '');
  if (!decoded.ok) return decoded;
  const problems = duplicateIdentities(decoded.value);
  return problems.length > 0 ? { ok: false, problems } : decoded;
}

function duplicateIdentities(vm: VirtualMachine): DocumentProblem[] {
  const problems: DocumentProblem[] = [];
  const seen = new Set(Object.values(vm.systemAssignedIdentity ?? {}).map(lowerCase));
  vm.userAssignedIdentities.forEach((identity, index) => {
    for (const field of ['clientId', 'objectId', 'resourceId'] as const) {
      const id = identity[field].toLowerCase();
      if (seen.has(id)) {
        const path = `userAssignedIdentities[${index}].${field}`;
        problems.push({ path, value: `"${identity[field]}"`, expected: 'an id that no other identity has' });
      }
      seen.add(id);
    }
  });
  return problems;
}

function lowerCase(id: string): string {
  return id.toLowerCase();
}
