import { setTimeout as sleep } from 'node:timers/promises';
import { type FaultRule } from '@msi-proxy/imds-emulator';
import { type Bench, type Fault } from './bench.ts';

/** An answer with a token is about this long with its head. */
const ANSWER_BYTES = 2_000;
/** In which one of the clients' requests meets the reset. */
const MILLIS_TO_MEET_IT = 200;

export const IMDS_FAULTS: readonly Fault[] = [
  {
    name: 'imds-frozen',
    title: 'IMDS accepts connections and does not answer (SIGSTOP)',
    count: 20,
    unit: 'second',
    fresh: true,
    run: async (bench, count) => {
      await bench.excuse(async () => {
        bench.scenario.vm.imds.freeze();
        try {
          await sleep(count * 1_000);
        } finally {
          bench.scenario.vm.imds.unfreeze();
        }
        await bench.converge();
      });
      return undefined;
    },
  },
  {
    name: 'imds-frozen-cached',
    title: 'The same, and clients ask for tokens that the proxy keeps',
    count: 20,
    unit: 'second',
    run: async (bench, count) => {
      bench.scenario.vm.imds.freeze();
      try {
        await sleep(count * 1_000);
      } finally {
        bench.scenario.vm.imds.unfreeze();
      }
      await bench.converge();
      return undefined;
    },
  },
  {
    name: 'imds-resets',
    title: 'IMDS resets a connection after every number of bytes of its answer',
    count: ANSWER_BYTES,
    unit: 'byte offset',
    fresh: true,
    run: async (bench, count) => {
      const stride = ANSWER_BYTES / count;
      await bench.excuse(async () => {
        for (let step = 0; step < count; step += 1) {
          await setFaults(bench, [
            { category: 'token', fault: 'reset', afterBytes: Math.floor(step * stride), times: 1 },
          ]);
          await sleep(MILLIS_TO_MEET_IT);
          // Or the next reset would meet the very call by which the proxy finds out whether IMDS is back.
          await bench.untilServed();
        }
        await setFaults(bench, []);
      });
      await bench.converge();
      return `one reset for each of ${count} offsets from 0 to ${ANSWER_BYTES - 1}; the proxy asks again`;
    },
  },
  {
    name: 'imds-drips',
    title: 'IMDS answers byte by byte, one each 2 ms',
    count: 20,
    unit: 'second',
    fresh: true,
    run: async (bench, count) => {
      await setFaults(bench, [{ category: 'token', fault: 'drip', bytesPerWrite: 1, intervalMillis: 2 }]);
      await bench.excuse(async () => {
        await sleep(count * 1_000);
        await setFaults(bench, []);
        await bench.converge();
      });
      return undefined;
    },
  },
  {
    name: 'imds-delays',
    title: 'IMDS answers 300 ms later',
    count: 20,
    unit: 'second',
    fresh: true,
    run: async (bench, count) => {
      await setFaults(bench, [{ category: 'token', fault: 'delay', delayMillis: 300 }]);
      await sleep(count * 1_000);
      await setFaults(bench, []);
      await bench.converge();
      return undefined;
    },
  },
];

async function setFaults(bench: Bench, rules: readonly FaultRule[]): Promise<void> {
  const { status, body } = await bench.scenario.vm.imds.control('PUT', '/faults', rules);
  if (status >= 300) throw new Error(`the emulator refused the faults: ${body}`);
}
