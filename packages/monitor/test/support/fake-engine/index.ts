export type { ContainerOptions, FakeContainer, NetworkOptions } from './engine-state.ts';
export type { RecordedEvent } from './event-log.ts';
export type { ExecProcess } from './exec-connection.ts';
export { FakeEngine, type FakeEngineOptions } from './fake-engine.ts';
