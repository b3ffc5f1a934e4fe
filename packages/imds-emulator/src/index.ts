export { EMULATOR_CONFIGURATION, EMULATOR_SETTINGS, type EmulatorSettings } from './config/settings.ts';
export type { EmulatorStats } from './control/control-routes.ts';
export { formatProblem, type Decoded, type DocumentProblem } from './decode/decoder.ts';
export { createEmulator, type Emulator, type EmulatorAddresses, type EmulatorOptions } from './emulator.ts';
export type { Fault, FaultRule } from './faults/fault-rule.ts';
export { TOKEN_MARKERS } from './identity/access-token.ts';
export type { RecordedRequest } from './recorder/request-log.ts';
export { API_VERSIONS, SCHEDULED_EVENTS_VERSIONS } from './routes/api-versions.ts';
export { CATEGORIES, type Category } from './routes/endpoint.ts';
export { REPROVISION_SECRET } from './routes/reprovision-data.ts';
export {
  DEFAULT_APP_IDENTITY,
  DEFAULT_DATA_IDENTITY,
  DEFAULT_SYSTEM_IDENTITY,
  DEFAULT_VM,
} from './vm/default-vm.ts';
export { parseVirtualMachine } from './vm/parse-vm.ts';
export type {
  AddressPair,
  InboundRule,
  LoadBalancer,
  NetworkInterface,
  ScheduledEvent,
  SystemAssignedIdentity,
  UserAssignedIdentity,
  VirtualMachine,
} from './vm/virtual-machine.ts';
