export { Daemon } from './daemon.ts';
export { Engine } from './engine.ts';
export { ImdsSide, nodeArgv, type Arrivals } from './imds-side.ts';
export { VM_ADDRESS } from './network.ts';
export { removeAbandonedLabs } from './remove-lab.ts';
export { CommandFailed, mustRun, runCommand, type Argv, type CommandOutput } from './run-command.ts';
export { SimulatedVm, type SimulatedVmOptions } from './simulated-vm.ts';
export { waitUntil } from './wait-until.ts';
export { BARE_IMAGE, BASE_IMAGE, preparedEngineData, PYTHON_IMAGE } from './lab-images.ts';
