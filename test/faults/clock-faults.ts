import { setTimeout as sleep } from 'node:timers/promises';
import { type Bench, type Fault } from './bench.ts';
import { waitUntil } from './lab.ts';

const DAY_MILLIS = 86_400_000;
const TOLERANCE_MILLIS = 60_000;
const STAY_MILLIS = 3_000;
const JUMPS = [DAY_MILLIS, 0, -DAY_MILLIS, 0] as const;

export const CLOCK_FAULTS: readonly Fault[] = [
  {
    name: 'clock-jumps',
    title: 'The clock of monitor and proxy jumps a day ahead and back, and a day back and ahead',
    count: 2,
    run: async (bench, count) => {
      for (let round = 0; round < count; round += 1) {
        for (const offsetMillis of JUMPS) {
          bench.preload.setClockOffset(offsetMillis);
          await untilNoticed(bench, offsetMillis);
          await sleep(STAY_MILLIS);
          await bench.converge();
        }
      }
      return 'four jumps each time, of the clock that the programs read (Date); timers go by another one';
    },
  },
];

/** Until the monitor tells of a container that has just come with the new time. */
async function untilNoticed(bench: Bench, offsetMillis: number): Promise<void> {
  const name = 'witness';
  await bench.scenario.startClient({ name });
  await waitUntil(
    async () => {
      const { clients } = await bench.scenario.status();
      const since = clients.find(client => client.name === name)?.since;
      return (
        since !== undefined && Math.abs(Date.parse(since) - Date.now() - offsetMillis) < TOLERANCE_MILLIS
      );
    },
    { what: `the monitor's clock to be off by ${offsetMillis} ms` },
  );
  await bench.scenario.removeContainers(name);
}
