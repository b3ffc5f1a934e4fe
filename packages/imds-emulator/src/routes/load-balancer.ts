import { instanceError, type Reply } from '../http/reply.ts';
import type { VirtualMachine } from '../vm/virtual-machine.ts';
import type { MetadataRequest } from './endpoint.ts';
import { answerTree } from './instance/tree.ts';

/** `/metadata/loadbalancer`. Unlike in `instance`, ports are numbers. */
export function answerLoadBalancer({ loadBalancer }: VirtualMachine, { query }: MetadataRequest): Reply {
  if (loadBalancer === null) {
    // MicrosoftDocs/azure-docs `articles/load-balancer/troubleshoot-load-balancer-imds.md`
    return instanceError(
      404,
      'No load balancer metadata is found. Please check if your VM is using any non-basic SKU load balancer and retry later.',
    );
  }
  const addresses = loadBalancer.publicIpAddresses.map(pair => ({ ...pair }));
  const inboundRules = loadBalancer.inboundRules.map(rule => ({ ...rule }));
  const outboundRules = loadBalancer.outboundRules.map(pair => ({ ...pair }));
  const tree = { loadbalancer: { publicIpAddresses: addresses, inboundRules, outboundRules } };
  return answerTree(tree, [], query.get('format'));
}
