import type { SystemAssignedIdentity, UserAssignedIdentity, VirtualMachine } from './virtual-machine.ts';

// Ids are fixed and easy to recognise, so that examples, tests and logs can name them.
const TENANT_ID = '11111111-1111-4111-8111-111111111111';
const SUBSCRIPTION_ID = '22222222-2222-4222-8222-222222222222';
const RESOURCE_GROUP = 'rg-emulated';

export const DEFAULT_SYSTEM_IDENTITY: SystemAssignedIdentity = {
  clientId: '50000000-0000-4000-8000-00000000000c',
  objectId: '50000000-0000-4000-8000-00000000000b',
};

/** User-assigned, called `id-app`. */
export const DEFAULT_APP_IDENTITY: UserAssignedIdentity = {
  name: 'id-app',
  clientId: 'a0000000-0000-4000-8000-00000000000c',
  objectId: 'a0000000-0000-4000-8000-00000000000b',
  resourceId: identityResourceId('id-app'),
};

/** User-assigned, called `id-data`. */
export const DEFAULT_DATA_IDENTITY: UserAssignedIdentity = {
  name: 'id-data',
  clientId: 'd0000000-0000-4000-8000-00000000000c',
  objectId: 'd0000000-0000-4000-8000-00000000000b',
  resourceId: identityResourceId('id-data'),
};

/** A Linux VM with a system-assigned and two user-assigned identities. */
export const DEFAULT_VM: VirtualMachine = {
  name: 'vm-emulated',
  vmId: '33333333-3333-4333-8333-333333333333',
  tenantId: TENANT_ID,
  subscriptionId: SUBSCRIPTION_ID,
  resourceGroup: RESOURCE_GROUP,
  location: 'westeurope',
  zone: '1',
  size: 'Standard_D2s_v5',
  osType: 'Linux',
  tags: { environment: 'emulated', team: 'platform' },
  userData: 'user-data-of-the-emulated-vm',
  systemAssignedIdentity: DEFAULT_SYSTEM_IDENTITY,
  userAssignedIdentities: [DEFAULT_APP_IDENTITY, DEFAULT_DATA_IDENTITY],
  interfaces: [
    {
      macAddress: '000D3A000001',
      privateIpAddress: '10.1.0.4',
      publicIpAddress: '203.0.113.10',
      subnetAddress: '10.1.0.0',
      subnetPrefixLength: 24,
    },
  ],
  loadBalancer: {
    publicIpAddresses: [{ frontendIpAddress: '203.0.113.10', privateIpAddress: '10.1.0.4' }],
    inboundRules: [
      {
        frontendIpAddress: '203.0.113.20',
        protocol: 'tcp',
        frontendPort: 80,
        backendPort: 8080,
        privateIpAddress: '10.1.0.4',
      },
    ],
    outboundRules: [{ frontendIpAddress: '203.0.113.21', privateIpAddress: '10.1.0.4' }],
  },
  scheduledEvents: [],
};

function identityResourceId(name: string): string {
  return `/subscriptions/${SUBSCRIPTION_ID}/resourceGroups/${RESOURCE_GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/${name}`;
}
