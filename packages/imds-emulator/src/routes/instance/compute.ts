import { vmResourceId, type VirtualMachine } from '../../vm/virtual-machine.ts';
import type { MetadataTree } from './tree.ts';

interface ComputeField {
  /** First api-version that has the field. */
  readonly since: string;
  readonly read: (vm: VirtualMachine) => MetadataTree;
}

const EMPTY = () => '';

/** Fields with their first version: the schema in MicrosoftDocs/azure-compute-docs `instance-metadata-service.md`. */
const FIELDS: Readonly<Record<string, ComputeField>> = {
  azEnvironment: { since: '2018-10-01', read: () => 'AzurePublicCloud' },
  additionalCapabilities: { since: '2021-11-01', read: () => ({ hibernationEnabled: 'false' }) },
  customData: { since: '2019-02-01', read: EMPTY },
  evictionPolicy: { since: '2020-12-01', read: EMPTY },
  extendedLocation: { since: '2021-03-01', read: () => ({ name: '', type: '' }) },
  host: { since: '2021-11-15', read: () => ({ id: '' }) },
  hostGroup: { since: '2021-11-15', read: () => ({ id: '' }) },
  isHostCompatibilityLayerVm: { since: '2020-06-01', read: () => 'false' },
  licenseType: { since: '2020-09-01', read: EMPTY },
  location: { since: '2017-04-02', read: vm => vm.location },
  name: { since: '2017-04-02', read: vm => vm.name },
  offer: { since: '2017-04-02', read: EMPTY },
  osProfile: {
    since: '2020-07-15',
    read: vm => ({
      adminUsername: 'azureuser',
      computerName: vm.name,
      disablePasswordAuthentication: 'true',
    }),
  },
  osType: { since: '2017-04-02', read: vm => vm.osType },
  physicalZone: { since: '2023-11-15', read: EMPTY },
  placementGroupId: { since: '2017-08-01', read: EMPTY },
  plan: { since: '2018-04-02', read: () => ({ name: '', product: '', publisher: '' }) },
  platformFaultDomain: { since: '2017-04-02', read: () => '0' },
  platformSubFaultDomain: { since: '2021-10-01', read: EMPTY },
  platformUpdateDomain: { since: '2017-04-02', read: () => '0' },
  priority: { since: '2020-12-01', read: EMPTY },
  provider: { since: '2018-10-01', read: () => 'Microsoft.Compute' },
  publicKeys: { since: '2018-04-02', read: () => [] },
  publisher: { since: '2017-04-02', read: EMPTY },
  resourceGroupName: { since: '2017-08-01', read: vm => vm.resourceGroup },
  resourceId: { since: '2019-03-11', read: vmResourceId },
  securityProfile: {
    since: '2020-06-01',
    read: () => ({ secureBootEnabled: 'true', virtualTpmEnabled: 'true' }),
  },
  sku: { since: '2017-04-02', read: EMPTY },
  storageProfile: {
    since: '2019-06-01',
    read: vm => ({
      dataDisks: [],
      imageReference: { id: '', offer: '', publisher: '', sku: '', version: '' },
      osDisk: {
        caching: 'ReadWrite',
        createOption: 'FromImage',
        diskSizeGB: '30',
        name: `${vm.name}-os`,
        osType: vm.osType,
      },
    }),
  },
  subscriptionId: { since: '2017-08-01', read: vm => vm.subscriptionId },
  tags: {
    since: '2017-08-01',
    read: vm =>
      Object.entries(vm.tags)
        .map(([name, value]) => `${name}:${value}`)
        .join(';'),
  },
  tagsList: {
    since: '2019-06-04',
    read: vm => Object.entries(vm.tags).map(([name, value]) => ({ name, value })),
  },
  userData: { since: '2021-01-01', read: vm => Buffer.from(vm.userData).toString('base64') },
  version: { since: '2017-04-02', read: EMPTY },
  virtualMachineScaleSet: { since: '2021-03-01', read: () => ({ id: '' }) },
  vmId: { since: '2017-04-02', read: vm => vm.vmId },
  vmScaleSetName: { since: '2017-12-01', read: EMPTY },
  vmSize: { since: '2017-04-02', read: vm => vm.size },
  zone: { since: '2017-12-01', read: vm => vm.zone },
};

/** `/metadata/instance/compute` as of an api-version. What does not apply is there as an empty text. */
export function computeMetadata(vm: VirtualMachine, apiVersion: string): MetadataTree {
  return Object.fromEntries(
    Object.entries(FIELDS)
      .filter(([, { since }]) => apiVersion >= since)
      .map(([name, { read }]) => [name, read(vm)]),
  );
}
