export { Disposables } from './disposables.ts';
export { FakeClock, settle } from './fake-clock.ts';
