// Loaded into monitor and proxy before their own program, in the folder where this file is:
// - their wall clock is off by the milliseconds that the file `clock-offset` says, from the moment when it says so. Timers
//   go by another clock, as they do when somebody sets that of a machine.
// - at SIGWINCH, which says nothing to a program without a terminal, garbage is collected and the bytes that are left are
//   written to `heap-<process id>`.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

const directory = import.meta.dirname;
const READ_INTERVAL_MILLIS = 50;

const RealDate = Date;
let offsetMillis = 0;
const readOffset = () => {
  try {
    offsetMillis = Number(readFileSync(join(directory, 'clock-offset'), 'utf8'));
  } catch {
    offsetMillis = 0;
  }
};
readOffset();
setInterval(readOffset, READ_INTERVAL_MILLIS).unref();
const now = () => RealDate.now() + offsetMillis;
globalThis.Date = new Proxy(RealDate, {
  construct: (target, args, newTarget) =>
    Reflect.construct(target, args.length === 0 ? [now()] : args, newTarget),
  apply: () => new RealDate(now()).toString(),
  get: (target, key) => (key === 'now' ? now : Reflect.get(target, key)),
});

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc');
process.on('SIGWINCH', () => {
  collect();
  const { heapUsed, external } = process.memoryUsage();
  writeFileSync(join(directory, `heap-${process.pid}`), String(heapUsed + external));
});
