import type { VirtualMachine } from '../../vm/virtual-machine.ts';
import type { MetadataTree } from './tree.ts';

/** `/metadata/instance/network`. */
export function networkMetadata(vm: VirtualMachine): MetadataTree {
  return {
    interface: vm.interfaces.map(each => ({
      ipv4: {
        ipAddress: [{ privateIpAddress: each.privateIpAddress, publicIpAddress: each.publicIpAddress }],
        subnet: [{ address: each.subnetAddress, prefix: String(each.subnetPrefixLength) }],
      },
      ipv6: { ipAddress: [] },
      macAddress: each.macAddress.toUpperCase(),
    })),
  };
}
