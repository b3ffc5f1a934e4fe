// Makes a lab with a running and a paused container, says its id, and waits to be killed.
import { setTimeout as sleep } from 'node:timers/promises';
import { BASE_IMAGE, preparedEngineData, SimulatedVm } from '../../lab/index.ts';

const vm = await SimulatedVm.start({ preparedData: await preparedEngineData() });
for (const name of ['running', 'paused']) {
  await vm.docker('run', '--detach', '--name', name, BASE_IMAGE, 'sleep', 'infinity');
}
await vm.docker('pause', 'paused');
console.log(vm.id);
await sleep(120_000);
