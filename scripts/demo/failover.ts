import { readFileSync } from 'node:fs';
import { IMDS_ADDRESS } from '@msi-proxy/shared';
import { instancePath, monitorStatus, waitUntil } from '../../test/lab/index.ts';
import { type CheckResult } from './checks.ts';
import { NAMES } from './names.ts';
import { type World } from './world.ts';

const MAX_GAP_MILLIS = 15_000;
const WATCHING_FILE = '/tmp/watching';
const STOP_FILE = '/tmp/stop-watching';

interface Watched {
  readonly requests: number;
  readonly failed: number;
  readonly longestGapMillis: number;
}

/** Kills the proxy while a client asks without pause, starts another one, and tells how long the client was without. */
export async function runFailover(
  world: World,
  startProxy: (name: string) => Promise<void>,
): Promise<CheckResult> {
  const { docker } = world;
  const program = readFileSync(new URL('watch-service.mjs', import.meta.url), 'utf8');
  const url = `http://${IMDS_ADDRESS}${instancePath('compute/name')}`;
  const watching = docker([
    'exec',
    NAMES.orders,
    'node',
    '--input-type=module',
    '--eval',
    program,
    WATCHING_FILE,
    STOP_FILE,
    url,
  ]);
  await waitUntil(
    async () => (await world.run(['exec', NAMES.orders, 'test', '-e', WATCHING_FILE])).exitCode === 0,
    {
      what: 'the client to be served before the proxy is killed',
    },
  );
  await docker(['kill', NAMES.proxy]);
  await docker(['rm', NAMES.proxy]);
  await startProxy(NAMES.secondProxy);
  await waitUntil(async () => await isServing(world, NAMES.secondProxy), {
    what: 'the second proxy to serve',
    timeoutMillis: 60_000,
  });
  await docker(['exec', NAMES.orders, 'touch', STOP_FILE]);
  const { requests, failed, longestGapMillis } = JSON.parse(await watching) as Watched;
  return {
    container: NAMES.orders,
    asksFor: 'metadata, proxy killed and replaced',
    promised: `again within ${MAX_GAP_MILLIS / 1_000} s`,
    got: `${(longestGapMillis / 1_000).toFixed(2)} s without, ${failed} of ${requests} failed`,
    elapsedMillis: longestGapMillis,
    kept: longestGapMillis > 0 && longestGapMillis <= MAX_GAP_MILLIS,
  };
}

async function isServing({ docker }: World, proxy: string): Promise<boolean> {
  const { proxies } = await monitorStatus(docker, NAMES.monitor);
  return proxies.some(({ name, state }) => name === proxy && state === 'serving');
}
