import assert from 'node:assert/strict';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CLIENT_LABEL } from '@msi-proxy/shared';
import {
  BASE_IMAGE,
  curlArguments,
  instancePath,
  readCurlOutput,
  tokenClaims,
  tokenPath,
  waitUntil,
} from '../lab/index.ts';
import { startLoad, type Load } from './support/load.ts';
import { MONITOR_SERVICE, PROXY_SERVICE, Swarm, type SwarmNode, type Task } from './support/swarm.ts';

const TOKEN = { path: tokenPath('https://vault.azure.net'), timeoutSeconds: 60 };
const PREPARE_NODE = fileURLToPath(new URL('../../deploy/swarm/prepare-node.sh', import.meta.url));
const CLIENT_LABELS = { [CLIENT_LABEL]: '', 'com.msi-proxy.identity': 'system' };
const IDLE = ['sleep', 'infinity'];
const OVERLAY = 'app-net';
const NEXT = 'next';
/** Three engines on two processors take long for as many as a swarm may have at once. */
const SCALED_TO = Number(process.env['MSI_PROXY_TEST_SWARM_TASKS'] ?? 9);
const REQUESTS_A_SECOND = 10;

describe('a swarm of VMs, each with an IMDS of its own', function () {
  this.timeout(300_000);
  let swarm: Swarm;
  let third: SwarmNode;

  before(async () => {
    swarm = await Swarm.start(3);
    third = swarm.nodes[2]!;
    await swarm.deployProduct();
    await swarm.manager('network', 'create', '--driver', 'overlay', OVERLAY);
    const idle = { image: BASE_IMAGE, command: IDLE } as const;
    await swarm.createService('web', { ...idle, mode: 'global', labels: CLIENT_LABELS, network: OVERLAY });
    await swarm.createService('local', { ...idle, mode: 'global', labels: CLIENT_LABELS, network: 'bridge' });
    await swarm.createService('roaming', { ...idle, replicas: 3, labels: CLIENT_LABELS, network: OVERLAY });
    await swarm.createService('unlabelled', { ...idle, mode: 'global', network: OVERLAY });
    await untilOnEach('web', 'local', 'unlabelled', PROXY_SERVICE, MONITOR_SERVICE);
    await swarm.untilTasks('roaming', 3);
    await swarm.untilServing();
  });
  after(() => swarm[Symbol.asyncDispose]());

  async function untilOnEach(...services: readonly string[]): Promise<void> {
    for (const service of services) await swarm.untilTasks(service, swarm.nodes.length);
  }

  /** A token tells whose it is, so this shows which VM's IMDS has answered. */
  async function hasIdentityOfItsVm(task: Task): Promise<void> {
    const { name, clientId, objectId } = task.node;
    const answer = await swarm.request(task, TOKEN);
    assert.equal(answer.status, 200, `on ${name}: ${answer.body}${answer.failure ?? ''}`);
    const { appid, oid } = tokenClaims(answer);
    assert.deepEqual({ appid, oid }, { appid: clientId, oid: objectId }, `on ${name}`);
  }

  async function haveIdentityOfTheirVm(...services: readonly string[]): Promise<void> {
    for (const service of services) await Promise.all((await swarm.tasks(service)).map(hasIdentityOfItsVm));
  }

  it('every node has a proxy that serves and a guard', async () => {
    for (const node of swarm.nodes) {
      const { guard, proxies, engine } = await swarm.status(node);
      assert.deepEqual(
        [engine.state, guard.mode, guard.state],
        ['connected', 'enforce', 'in-place'],
        node.name,
      );
      assert.deepEqual(
        proxies.map(({ state }) => state),
        ['serving'],
      );
    }
  });

  it("every task gets its own VM's identity, on an overlay network and on the node's bridge", async () => {
    await haveIdentityOfTheirVm('web', 'local', 'roaming');
    for (const task of await swarm.tasks('web')) {
      const { body } = await swarm.request(task, { path: instancePath('compute/name') });
      assert.equal(body, task.node.name);
    }
  });

  it('a task whose service has no container label gets nothing', async () => {
    for (const task of await swarm.tasks('unlabelled')) {
      const { status, body } = await swarm.request(task, TOKEN);
      assert.deepEqual([status, body.includes('Identity not found')], [400, true], body);
    }
  });

  it('the doctor finds nothing wrong with a task on an overlay network', async () => {
    const [task] = await swarm.tasks('web', [third]);
    const [monitor] = await swarm.tasks(MONITOR_SERVICE, [third]);
    const { stdout } = await third.vm.engine.run([
      ...['exec', monitor!.containerId, 'msi-monitor', 'doctor', task!.containerId],
      ...['--resource', 'https://vault.azure.net', '--json'],
    ]);
    const { checks } = JSON.parse(stdout) as { checks: { name: string; result: string }[] };
    assert.ok(checks.length > 20, stdout);
    assert.deepEqual(
      checks.filter(({ result }) => result === 'failed' || result === 'skipped'),
      [],
    );
  });

  it('a proxy that dies is replaced, and its clients wait for the next one', async () => {
    const [proxy] = await swarm.tasks(PROXY_SERVICE, [third]);
    const [client] = await swarm.tasks('web', [third]);
    const pid = await third.vm.docker('inspect', '--format', '{{.State.Pid}}', proxy!.containerId);
    process.kill(Number(pid), 'SIGKILL');
    const { elapsedMillis } = await swarm.request(client!, TOKEN);
    await hasIdentityOfItsVm(client!);
    console.log(`      a request that came when the proxy was killed took ${elapsedMillis} ms`);
    await swarm.untilServing();
  });

  it('an update of proxy and monitor, one node after the other, ends with all of them served', async () => {
    for (const node of swarm.nodes) await tagNext(node);
    const loads = await Promise.all([
      ...(await swarm.tasks('web')).map(client => load(client, 'new')),
      ...(await swarm.tasks('local')).map(client => load(client, 'kept')),
    ]);
    const startMillis = performance.now();
    await swarm.deployProduct(NEXT);
    const outcomes = await Promise.all(
      [PROXY_SERVICE, MONITOR_SERVICE].map(name => swarm.untilUpdated(name)),
    );
    const seconds = (performance.now() - startMillis) / 1_000;
    const results = await Promise.all(loads.map(end => end()));
    const failures = results.flatMap(result => result.failures);
    const requests = results.reduce((sum, result) => sum + result.requests, 0);
    const longestGapMillis = Math.max(...results.map(result => result.longestGapMillis));
    console.log(
      `      ${swarm.nodes.length} nodes updated in ${seconds.toFixed(0)} s: ${failures.length} of ${requests} requests failed ` +
        `(${[...new Set(failures)].join(', ')}), at most ${longestGapMillis} ms without an answer`,
    );
    assert.deepEqual(outcomes, ['completed', 'completed']);
    assert.ok(requests > failures.length, 'requests that were answered');
    await swarm.untilServing();
    await haveIdentityOfTheirVm('web', 'local');
    for (const { containerId, node } of await swarm.tasks(PROXY_SERVICE)) {
      const image = await node.vm.docker('inspect', '--format', '{{.Config.Image}}', containerId);
      assert.equal(image, `msi-proxy/proxy:${NEXT}`);
    }
  });

  /** The next version is this one by another name. */
  async function tagNext({ vm }: SwarmNode): Promise<void> {
    for (const image of ['msi-proxy/proxy', 'msi-proxy/monitor'])
      await vm.docker('tag', image, `${image}:${NEXT}`);
  }

  async function load(
    { node, containerId }: Task,
    connections: 'new' | 'kept',
  ): Promise<() => Promise<Load>> {
    const options = {
      connections,
      kind: 'token',
      requestsASecond: REQUESTS_A_SECOND,
      path: TOKEN.path,
    } as const;
    return await startLoad(node.vm.engine, containerId, options);
  }

  async function prepare({ vm }: SwarmNode): Promise<void> {
    const env = { ...process.env, DESTDIR: join(vm.directory, 'prepared') };
    // Twice: it says that this does no harm.
    for (let time = 0; time < 2; time += 1) await vm.exec([PREPARE_NODE], { env });
  }

  async function nobodyReachesImds({ vm }: SwarmNode): Promise<void> {
    await vm.imds.forgetArrivals();
    const curl = curlArguments({ ...TOKEN, timeoutSeconds: 2 });
    const { exitCode } = await vm.engine.run(['run', '--rm', BASE_IMAGE, ...curl]);
    assert.notEqual(exitCode, 0);
    assert.deepEqual((await vm.imds.arrivals()).connections, []);
  }

  it('a node that is prepared and added is never open, and its tasks get its own identity', async () => {
    const added = await swarm.startVm();
    await tagNext(added);
    await prepare(added);
    await nobodyReachesImds(added);
    await swarm.join(added);
    await untilOnEach('web', 'local', PROXY_SERVICE, MONITOR_SERVICE);
    await swarm.untilServing([added]);
    for (const service of ['web', 'local']) {
      for (const task of await swarm.tasks(service, [added])) await hasIdentityOfItsVm(task);
    }
    await isRefusedAndNamed(added);
  });

  /** Also where the rules of the prepared node would drop what the monitor's refuse. */
  async function isRefusedAndNamed(node: SwarmNode): Promise<void> {
    const { engine } = node.vm;
    await engine.docker(['run', '--detach', '--name', 'nosy', BASE_IMAGE, ...IDLE]);
    const curl = ['curl', '--silent', '--max-time', '10', 'http://169.254.169.254:8080/'];
    const { exitCode } = await engine.run(['exec', 'nosy', ...curl]);
    assert.equal(exitCode, 7, 'refused, and not left waiting');
    await waitUntil(
      async () => (await swarm.status(node)).guard.stopped.some(({ name }) => name === 'nosy'),
      { what: 'the status to name who was stopped', timeoutMillis: 30_000, intervalMillis: 500 },
    );
  }

  it('a node that is drained stays guarded, and serves again when it is back', async () => {
    const drained = swarm.nodes[1]!;
    const others = swarm.nodes.filter(node => node !== drained);
    await swarm.manager('node', 'update', '--availability', 'drain', drained.name);
    for (const service of ['web', 'local', 'roaming', PROXY_SERVICE, MONITOR_SERVICE])
      await swarm.untilTasks(service, 0, [drained]);
    await swarm.untilTasks('roaming', 3, others);
    await haveIdentityOfTheirVm('web', 'roaming');

    await nobodyReachesImds(drained);

    await swarm.manager('node', 'update', '--availability', 'active', drained.name);
    await untilOnEach('web', 'local', PROXY_SERVICE, MONITOR_SERVICE);
    await swarm.untilServing([drained]);
    await haveIdentityOfTheirVm('web', 'local');
  });

  it('tasks of a node that is lost get the identity of the node they move to', async () => {
    const others = swarm.nodes.filter(node => node !== third);
    const [left] = await swarm.tasks('web', [third]);
    await swarm.cut(third);
    await swarm.untilNode(third, 'down');
    await swarm.untilTasks('roaming', 3, others);
    for (const task of await swarm.tasks('roaming', others)) await hasIdentityOfItsVm(task);
    // Its own IMDS is not lost: what runs on it is served on.
    await hasIdentityOfItsVm(left!);

    await swarm.mend(third);
    await swarm.untilNode(third, 'ready');
    await untilOnEach('web', 'local', PROXY_SERVICE, MONITOR_SERVICE);
    await swarm.untilTasks('roaming', 3);
    await swarm.untilServing();
    await haveIdentityOfTheirVm('web', 'local', 'roaming');
  });

  it(`a service that is scaled from 0 to ${SCALED_TO} is served at its first request`, async () => {
    // What a task asks for first of all, and what becomes of it, is in its log.
    const script = '"$@"; echo; date +%s%3N; exec sleep infinity';
    const command = ['sh', '-c', script, 'sh', ...curlArguments(TOKEN)];
    // On the bridge: two cores take too long to make overlay networks for so many.
    const crowd = { image: BASE_IMAGE, command, labels: CLIENT_LABELS, network: 'bridge' };
    await swarm.createService('crowd', { ...crowd, replicas: 0 });
    const startMillis = Date.now();
    await swarm.scale('crowd', SCALED_TO);
    await waitUntil(async () => (await swarm.tasks('crowd')).length === SCALED_TO, {
      what: `${SCALED_TO} tasks`,
      timeoutMillis: 240_000,
      intervalMillis: 1_000,
    });
    const tasks = await swarm.tasks('crowd');
    const served: number[] = [];
    const waited: number[] = [];
    for (const { node, containerId } of tasks) {
      const log = await waitUntil(
        async () => {
          const text = await node.vm.docker('logs', containerId);
          return /\n\d{13}$/.test(text) && text;
        },
        { what: `the first answer on ${node.name}`, timeoutMillis: 60_000, intervalMillis: 500 },
      );
      const [, output, atMillis] = /^([^]*)\n(\d{13})$/.exec(log)!;
      const answer = readCurlOutput({ exitCode: 0, stdout: output!.trim(), stderr: '' });
      assert.equal(answer.status, 200, output);
      assert.equal(tokenClaims(answer)['oid'], node.objectId);
      served.push(Number(atMillis) - startMillis);
      waited.push(answer.elapsedMillis);
    }
    const perNode = swarm.nodes.map(node => tasks.filter(task => task.node === node).length).join(', ');
    const sorted = waited.toSorted((a, b) => a - b);
    console.log(
      `      ${tasks.length} tasks (${perNode} by node): the last was served ${(Math.max(...served) / 1_000).toFixed(1)} s after the scaling; ` +
        `first requests took ${sorted[Math.floor(sorted.length / 2)]} ms at the median, at most ${sorted.at(-1)} ms`,
    );
  });
});
