import type { Reply } from '../../http/reply.ts';
import type { VirtualMachine } from '../../vm/virtual-machine.ts';
import type { MetadataRequest } from '../endpoint.ts';
import { computeMetadata } from './compute.ts';
import { networkMetadata } from './network.ts';
import { answerTree } from './tree.ts';

/** `/metadata/instance` and everything below it. */
export function answerInstance(vm: VirtualMachine, { rest, query, apiVersion }: MetadataRequest): Reply {
  const tree = { compute: computeMetadata(vm, apiVersion), network: networkMetadata(vm) };
  return answerTree(tree, rest, query.get('format'));
}
