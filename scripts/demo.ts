// npm run demo [-- --keep]: shows the product at work, and what it promises against what came.
import { parseArgs } from 'node:util';
import { ENDPOINTS_LABEL, IDENTITY_LABEL, RESOURCES_LABEL, type Labels } from '@msi-proxy/shared';
import { DEFAULT_APP_IDENTITY } from '../packages/imds-emulator/src/vm/default-vm.ts';
import {
  clientContainer,
  monitorStatus,
  PROXY_NETWORK,
  proxyContainer,
  runArguments,
  waitUntil,
  type ContainerOptions,
} from '../test/lab/index.ts';
import { runChecks, type CheckResult } from './demo/checks.ts';
import { runFailover } from './demo/failover.ts';
import { DEMO_LABEL, DEMO_TAG, NAMES } from './demo/names.ts';
import { DEMO_IMAGES, engineWorld, labWorld, type World } from './demo/world.ts';
import { labObstacle } from './lib/debian-packages.ts';
import { engineAnswers } from './lib/docker-client.ts';
import { buildImage, IMAGES, NODE_CLIENT_IMAGE } from './lib/image-builder.ts';
import { runMain } from './lib/run-main.ts';
import { formatBytes, printTable, styled } from './lib/terminal.ts';

const { values: options } = parseArgs({ options: { keep: { type: 'boolean', default: false } } });

await runMain(async () => {
  await using world = await openWorld();
  disposeOnSignals(world);
  done(world.description);
  await buildAll(world);
  await startAll(world);
  const results = [...(await allChecks(world)), await failover(world)];
  show(results);
  if (options.keep) tellHowToLookAround(world);
  process.exitCode = results.every(({ kept }) => kept) ? 0 : 1;
});

async function openWorld(): Promise<World> {
  if (await engineAnswers()) return await engineWorld();
  const obstacle = labObstacle();
  if (obstacle !== undefined) {
    throw new Error(`no engine answers at DOCKER_HOST, and a private one cannot be started: ${obstacle}`);
  }
  return await labWorld(progress);
}

function disposeOnSignals(world: World): void {
  for (const [name, number] of [
    ['SIGINT', 2],
    ['SIGTERM', 15],
    ['SIGHUP', 1],
  ] as const) {
    process.once(name, () => {
      console.log('\ninterrupted: removing what was started');
      void world[Symbol.asyncDispose]().finally(() => process.exit(128 + number));
    });
  }
}

async function buildAll({ docker, baseImage }: World): Promise<void> {
  const sizes: string[] = [];
  for (const source of DEMO_IMAGES) {
    hint(`Building ${source.repository}`);
    const built = await buildImage(source, {
      docker,
      tag: DEMO_TAG,
      ...(baseImage !== undefined && { baseImage }),
    });
    sizes.push(`${source.repository.split('/')[1]!} ${formatBytes(built.contentBytes)}`);
  }
  done(`images built, each with one file of ours: ${sizes.join(', ')}`);
}

async function startAll(world: World): Promise<void> {
  await world.startUpstream();
  await startProxy(world, NAMES.proxy);
  await start(
    world,
    world.monitor({ name: NAMES.monitor, image: `${IMAGES.monitor.repository}:${DEMO_TAG}` }),
  );
  await start(
    world,
    clientContainer(
      client(NAMES.orders, {
        [IDENTITY_LABEL]: DEFAULT_APP_IDENTITY.clientId,
        [RESOURCES_LABEL]: 'https://vault.azure.net',
      }),
    ),
  );
  await start(
    world,
    clientContainer(
      client(NAMES.reports, {
        [IDENTITY_LABEL]: 'system',
        [ENDPOINTS_LABEL]: 'token,instance',
      }),
    ),
  );
  await start(world, client(NAMES.unlabelled, {}));
  done('proxy, monitor, two labelled clients and an unlabelled container started');
  hint('Waiting until both clients are wired');
  const wired = await waitUntil(() => wiredClients(world), {
    what: 'both clients to be wired (docker logs msi-demo-monitor tells more)',
    timeoutMillis: 60_000,
  });
  done(`both clients wired: ${wired.join(', ')}`);
}

async function wiredClients({ docker }: World): Promise<string[] | undefined> {
  const { clients } = await monitorStatus(docker, NAMES.monitor);
  const wired = clients.filter(({ state }) => state === 'wired');
  if (wired.length < 2) return undefined;
  return wired.map(
    ({ name, method, wiredAfterMillis }) =>
      `${shortName(name)} by ${method ?? '?'}${wiredAfterMillis === undefined ? '' : ` in ${wiredAfterMillis} ms`}`,
  );
}

async function allChecks(world: World): Promise<CheckResult[]> {
  const results: CheckResult[] = [];
  for await (const result of runChecks(world)) {
    results.push(result);
    hint(`${shortName(result.container)}: ${result.asksFor}`);
  }
  done(`${results.length} requests asked from inside the containers`);
  return results;
}

async function failover(world: World): Promise<CheckResult> {
  hint('Killing the proxy and starting another one');
  const result = await runFailover(world, name => startProxy(world, name));
  done('proxy killed and replaced');
  return result;
}

async function startProxy(world: World, name: string): Promise<void> {
  const image = `${IMAGES.proxy.repository}:${DEMO_TAG}`;
  // The network is there once a monitor has run; before that, the proxy starts on the default one and is moved.
  const hasNetwork = (await world.run(['network', 'inspect', PROXY_NETWORK])).exitCode === 0;
  const env = world.proxyEnvironment();
  await start(world, proxyContainer({ name, image, env, ...(hasNetwork && { network: PROXY_NETWORK }) }));
}

async function start({ docker }: World, container: ContainerOptions): Promise<void> {
  await docker(runArguments({ ...container, labels: { ...container.labels, [DEMO_LABEL]: '' } }));
}

function client(name: string, labels: Labels): ContainerOptions {
  return { name, labels, image: `${NODE_CLIENT_IMAGE.repository}:${DEMO_TAG}` };
}

function show(results: readonly CheckResult[]): void {
  console.log();
  printTable(
    ['', 'container', 'asks for', 'promised', 'got', 'time'],
    results.map(({ container, asksFor, promised, got, elapsedMillis, kept }) => [
      kept ? styled('green', '✓') : styled('red', '✗'),
      shortName(container),
      asksFor,
      promised,
      kept ? got : styled('red', got),
      `${elapsedMillis} ms`,
    ]),
  );
  const broken = results.filter(({ kept }) => !kept).length;
  console.log(
    broken === 0
      ? `\nAll ${results.length} as promised.`
      : `\n${broken} of ${results.length} not as promised.`,
  );
}

function tellHowToLookAround(world: World): void {
  const { environment, removal } = world.keep();
  console.log(
    [
      '',
      'Left running. Look around:',
      `  ${environment}`,
      `  docker exec ${NAMES.monitor} msi-monitor status`,
      `  docker logs ${NAMES.secondProxy}`,
      `  docker exec -it ${NAMES.orders} bash`,
      'Remove it:',
      ...removal.map(command => `  ${command}`),
    ].join('\n'),
  );
}

function shortName(container: string): string {
  return container.replace(/^msi-demo-/, '');
}

/** Something that takes long: said in any case. */
function progress(text: string): void {
  if (process.stdout.isTTY) hint(text);
  else console.log(`… ${text}`);
}

/** What is under way, on a line that the next one replaces. */
function hint(text: string): void {
  if (process.stdout.isTTY) process.stdout.write(`\r\u001b[K… ${text}`);
}

function done(text: string): void {
  if (process.stdout.isTTY) process.stdout.write('\r\u001b[K');
  console.log(`${styled('green', '✓')} ${text}`);
}
