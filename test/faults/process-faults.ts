import { setTimeout as sleep } from 'node:timers/promises';
import { type Bench, type Fault } from './bench.ts';

const MONITOR_LIFE_MILLIS = 1_500;
const CHURN_EVERY = 10;

export const PROCESS_FAULTS: readonly Fault[] = [
  {
    name: 'proxy-kill',
    title: 'The only proxy is killed with SIGKILL and started again',
    count: 50,
    run: async (bench, count) => {
      for (let kill = 0; kill < count; kill += 1) {
        const pid = await bench.pidOf('proxy');
        await sleep(bench.millisBelow(300));
        await bench.excuse(async () => {
          process.kill(pid, 'SIGKILL');
          await bench.scenario.untilStatus('no proxy to serve', ({ proxies }) =>
            proxies.every(({ state }) => state !== 'serving'),
          );
          await bench.scenario.docker('start', 'proxy');
          await bench.scenario.untilServing();
        });
        await bench.converge();
      }
      return undefined;
    },
  },
  {
    name: 'monitor-kill',
    title:
      'The monitor is killed with SIGKILL at random moments of its start and of its work, and started again',
    count: 200,
    run: async (bench, count) => {
      for (let kill = 0; kill < count; kill += 1) {
        // One half while they start, the other half while they serve: whatever keeps a monitor from ever getting ready
        // is another fault, in which requests are held and then refused.
        if (kill % 2 === 0) await bench.converge();
        await sleep(bench.millisBelow(MONITOR_LIFE_MILLIS));
        const churn = kill % CHURN_EVERY === 0 ? churnClient(bench) : undefined;
        await bench.scenario.killMonitor();
        await bench.spawnMonitor();
        await churn;
      }
      await bench.converge();
      return `each second one is killed up to ${MONITOR_LIFE_MILLIS} ms after its start, the others as long after clients were served`;
    },
  },
];

/** A client comes and goes while the monitor is away. */
async function churnClient(bench: Bench): Promise<void> {
  await bench.scenario.startClient({ name: 'churn' });
  await bench.scenario.removeContainers('churn');
}
