export { Disposables } from './disposables.ts';
export { FakeClock, settle } from './fake-clock.ts';
export { openFullPipe } from './full-pipe.ts';
export {
  ask,
  CLIENT_ADDRESS,
  open,
  readAll,
  requestText,
  sendAndLeave,
  sendRaw,
  type AskOptions,
  type RawAnswer,
  type RequestOptions,
} from './raw-client.ts';
export { until } from './until.ts';
