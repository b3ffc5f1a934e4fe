// Makes a lab with a running and a paused container, on a network for VMs, says both ids, and waits to be killed.
import { setTimeout as sleep } from 'node:timers/promises';
import { BASE_IMAGE, preparedEngineData, SimulatedVm, VirtualNetwork } from '../../lab/index.ts';

const vm = await SimulatedVm.start({ preparedData: await preparedEngineData() });
for (const name of ['running', 'paused']) {
  await vm.docker('run', '--detach', '--name', name, BASE_IMAGE, 'sleep', 'infinity');
}
await vm.docker('pause', 'paused');
const network = await VirtualNetwork.create();
await network.join(vm, '10.99.0.1');
console.log(vm.id, network.id);
await sleep(120_000);
