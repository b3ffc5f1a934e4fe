import { CLOCK_FAULTS } from './clock-faults.ts';
import { ENGINE_FAULTS } from './engine-faults.ts';
import { IMDS_FAULTS } from './imds-faults.ts';
import { LIMIT_FAULTS } from './limit-faults.ts';
import { NETWORK_FAULTS } from './network-faults.ts';
import { PROCESS_FAULTS } from './process-faults.ts';
import { type Fault } from './bench.ts';

export const FAULTS: readonly Fault[] = [
  ...PROCESS_FAULTS,
  ...ENGINE_FAULTS,
  ...NETWORK_FAULTS,
  ...IMDS_FAULTS,
  ...LIMIT_FAULTS,
  ...CLOCK_FAULTS,
];
