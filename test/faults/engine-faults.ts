import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Bench, type Fault } from './bench.ts';
import { waitUntil } from './lab.ts';

const ALWAYS = ['--restart', 'always'];
/** More than the monitor's longest wait between two attempts to connect. */
const RECONNECT_MILLIS = 45_000;

export const ENGINE_FAULTS: readonly Fault[] = [
  {
    name: 'engine-restart',
    title: 'The engine is restarted, with live-restore',
    count: 20,
    liveRestore: true,
    run: async (bench, count) => {
      for (let restart = 0; restart < count; restart += 1) {
        await bench.scenario.vm.engine.stop();
        await bench.scenario.vm.engine.start();
        await bench.converge();
      }
      return undefined;
    },
  },
  {
    name: 'engine-restart-all',
    title: 'The engine is restarted without live-restore, and all containers with it',
    count: 5,
    proxyArguments: ALWAYS,
    clientArguments: ALWAYS,
    run: async (bench, count) => {
      for (let restart = 0; restart < count; restart += 1) {
        await bench.excuse(async () => {
          await bench.scenario.vm.engine.stop();
          // The load lives in namespaces that are gone.
          await bench.stopLoads();
          await bench.scenario.vm.engine.start();
          await bench.scenario.untilServing();
          await bench.scenario.untilWired('alpha', 'beta');
        });
        await bench.startLoads();
        await bench.converge();
      }
      return 'clients ask anew once they are wired again; the outage includes their own restart';
    },
  },
  {
    name: 'engine-freeze',
    title: 'The engine accepts connections and does not answer (SIGSTOP)',
    count: 60,
    unit: 'second',
    run: async (bench, count) => {
      bench.scenario.vm.engine.freeze();
      try {
        await sleep(count * 1_000);
      } finally {
        bench.scenario.vm.engine.unfreeze();
      }
      await bench.converge();
      return undefined;
    },
  },
  {
    name: 'socket-in-folder',
    title: 'The engine makes a new socket; the monitor is a container with the socket’s folder mounted',
    count: 1,
    liveRestore: true,
    run: async (bench, count) => {
      await useMonitorContainer(bench, {});
      for (let restart = 0; restart < count; restart += 1) {
        await restartEngine(bench);
        await bench.converge();
      }
      await usePlainMonitor(bench);
      return undefined;
    },
  },
  {
    name: 'socket-as-file',
    title: 'The same with the socket itself mounted',
    count: 1,
    liveRestore: true,
    run: async (bench, count) => {
      const { socketPath } = bench.scenario.vm.engine;
      await useMonitorContainer(bench, {
        env: { DOCKER_HOST: 'unix:///one.sock' },
        extra: ['--volume', `${socketPath}:/one.sock`],
      });
      let remark = 'reconnects by itself';
      for (let restart = 0; restart < count; restart += 1) {
        await restartEngine(bench);
        const connected = await waitUntil(
          async () => (await bench.scenario.status()).engine.state === 'connected',
          { what: 'the monitor to reconnect', timeoutMillis: RECONNECT_MILLIS },
        ).catch(() => false);
        if (!connected) {
          const { engine } = await bench.scenario.status();
          remark = `does not reconnect, says: ${engine.lastError ?? engine.state}; served after \`docker restart\` of the monitor`;
          await bench.scenario.docker('restart', 'monitor');
        }
        await bench.converge();
      }
      await usePlainMonitor(bench);
      return remark;
    },
  },
];

async function restartEngine(bench: Bench): Promise<void> {
  const { engine } = bench.scenario.vm;
  await engine.stop();
  await waitUntil(() => !existsSync(join(engine.socketPath)), { what: 'the socket to be gone' }).catch(
    () => {},
  );
  await engine.start();
}

async function useMonitorContainer(
  bench: Bench,
  options: Parameters<Bench['scenario']['startMonitorContainer']>[0],
): Promise<void> {
  await bench.scenario.stopMonitor();
  await bench.scenario.startMonitorContainer(options);
  await bench.untilServed();
}

/** So that what is held afterwards can be compared. */
async function usePlainMonitor(bench: Bench): Promise<void> {
  await bench.scenario.removeContainers('monitor');
  await bench.startMonitor();
  await bench.untilServed();
}
