import assert from 'node:assert/strict';
import { once } from 'node:events';
import { silentLogger } from '@msi-proxy/shared';
import {
  createEngineClient,
  type ContainerDetails,
  type EngineClient,
  type EngineEvent,
} from '../../packages/monitor/src/docker/index.ts';
import { isAsListed } from '../../packages/monitor/src/reconcile/listing.ts';
import { BASE_IMAGE, preparedEngineData, SimulatedVm } from '../lab/index.ts';

const LABELS = { MSIClientContainer: '' };

describe('the client of the Docker API, with a real engine', function () {
  this.timeout(60_000);

  let vm: SimulatedVm;
  let client: EngineClient;
  let id: string;

  before(async () => {
    vm = await SimulatedVm.start({ imds: false, preparedData: await preparedEngineData() });
    client = createEngineClient({ dockerHost: vm.engine.host, logger: silentLogger });
    id = await vm.docker(
      'run',
      '--detach',
      '--name',
      'web',
      '--label',
      'MSIClientContainer',
      BASE_IMAGE,
      'sleep',
      'infinity',
    );
  });
  after(() => vm.remove());

  it('negotiates a version and pings', async () => {
    const { version, apiVersion } = await client.version();
    assert.match(version, /^\d+\.\d+/);
    assert.match(apiVersion, /^1\.\d+$/);
    await client.ping();
  });

  async function listed(): Promise<unknown> {
    // Labels come without a prototype.
    const summaries = await client.listContainers();
    return summaries.map(({ id, name, state, labels }) => ({ id, name, state, labels: { ...labels } }));
  }

  it('lists and inspects containers', async () => {
    assert.deepEqual(await listed(), [{ id, name: 'web', state: 'running', labels: LABELS }]);
    const container = await client.inspectContainer(id);
    assert.ok(container);
    assert.equal(container.name, 'web');
    assert.equal(container.image, BASE_IMAGE);
    assert.equal(container.platform, 'linux');
    assert.equal(container.state, 'running');
    assert.deepEqual(Object.entries(container.labels), [['MSIClientContainer', '']]);
    assert.ok(container.pid > 0);
    assert.match(container.startedAt, /^\d{4}-\d\d-\d\dT.*Z$/);
    assert.match(container.sandboxKey, /\/netns\//);
    assert.match(container.networks[0]?.address ?? '', /^\d+\.\d+\.\d+\.\d+$/);
  });

  // What a resync rests on: only those that have changed are inspected.
  it('lists a container as it was inspected until it changes', async () => {
    const isAsInspected = async (name: string, inspected: ContainerDetails | undefined): Promise<boolean> => {
      const listed = (await client.listContainers()).find(each => each.name === name);
      assert.ok(inspected !== undefined && listed !== undefined);
      return isAsListed(inspected, listed);
    };
    await vm.docker('network', 'create', 'listed');
    const labels = ['--label', 'com.msi-proxy.resource=https://vault.azure.net', '--label', 'odd=ü "x"\n'];
    const idle = [BASE_IMAGE, 'sleep', 'infinity'];
    for (const network of ['bridge', 'listed', 'host'])
      await vm.docker('run', '--detach', '--name', `on-${network}`, '--network', network, ...labels, ...idle);
    await vm.docker('network', 'connect', 'bridge', 'on-listed');

    for (const name of ['on-bridge', 'on-listed', 'on-host']) {
      const before = await client.inspectContainer(name);
      assert.ok(await isAsInspected(name, before), `${name} is listed otherwise`);
      await vm.docker('restart', '--time', '0', name);
      assert.ok(!(await isAsInspected(name, before)), `${name} has started again`);
    }
    const before = await client.inspectContainer('on-listed');
    await vm.docker('network', 'disconnect', 'bridge', 'on-listed');
    assert.ok(!(await isAsInspected('on-listed', before)), 'it has left a network');
    await vm.docker('rename', 'on-bridge', 'renamed');
    assert.equal((await client.listContainers()).filter(({ name }) => name === 'renamed').length, 1);
    await vm.docker('rm', '--force', 'renamed', 'on-listed', 'on-host');
    await vm.docker('network', 'rm', 'listed');
  });

  it('lists a paused container as one that runs', async () => {
    await vm.docker('pause', 'web');
    try {
      assert.deepEqual(await listed(), [{ id, name: 'web', state: 'paused', labels: LABELS }]);
    } finally {
      await vm.docker('unpause', 'web');
    }
  });

  it('tells what is not there from what failed', async () => {
    assert.equal(await client.inspectContainer('0'.repeat(64)), undefined);
    assert.equal(await client.inspectNetwork('nowhere'), undefined);
    await assert.rejects(client.connectNetwork('nowhere', id), {
      code: 'MSI_ENGINE_REQUEST',
      message: /nowhere/,
    });
  });

  it('makes a network and connects a container to it, any number of times', async () => {
    const network = {
      name: 'made-here',
      driver: 'bridge',
      labels: { owner: 'test' },
      options: { 'com.docker.network.bridge.name': 'br-made-here' },
      subnet: '10.211.0.0/24',
    };
    await client.createNetwork(network);
    await client.createNetwork(network);
    await client.connectNetwork('made-here', id);
    await client.connectNetwork('made-here', id);
    const made = await client.inspectNetwork('made-here');
    assert.ok(made);
    assert.equal(made.subnet, '10.211.0.0/24');
    assert.equal(made.labels['owner'], 'test');
    assert.equal(made.options['com.docker.network.bridge.name'], 'br-made-here');
    assert.deepEqual(made.containers, { [id]: { address: '10.211.0.2' } });
    const listed = await client.listNetworks();
    assert.equal(listed.filter(({ name }) => name === 'made-here').length, 1);
    const container = await client.inspectContainer(id);
    assert.deepEqual(
      container?.networks.map(({ name }) => name),
      ['bridge', 'made-here'],
    );
  });

  it('tells the address of a bridge also where the engine does not', async () => {
    const network = { driver: 'bridge', labels: {}, subnet: '10.212.7.0/24' };
    const options = { 'com.docker.network.bridge.name': 'br-implied' };
    await client.createNetwork({ ...network, name: 'implied', options });
    const { gateway } = (await client.inspectNetwork('implied')) ?? {};
    const [, , address] = (await vm.exec(['ip', '-4', '-brief', 'address', 'show', 'br-implied'])).split(
      /\s+/,
    );
    assert.equal(`${gateway ?? 'none'}/24`, address);
  });

  it('runs a command with input, and tells its outputs and its exit code', async () => {
    const argv = ['sh', '-c', 'cat; echo wrong >&2; exit 7'];
    assert.deepEqual(await client.runExec(id, argv, { user: '0', stdin: 'right' }), {
      exitCode: 7,
      stdout: 'right',
      stderr: 'wrong\n',
    });
  });

  it('runs a command without input, which then reads nothing', async () => {
    const argv = ['sh', '-c', 'wc -c; echo warning >&2; exit 3'];
    const result = await client.runExec(id, argv, { user: '0' });
    assert.deepEqual(result, { exitCode: 3, stdout: '0\n', stderr: 'warning\n' });
  });

  it('tells by the exit code that a command is not there', async () => {
    const { exitCode } = await client.runExec(id, ['no-such-command']);
    assert.ok(exitCode === 126 || exitCode === 127, `exit code ${exitCode}`);
  });

  it('keeps a command running with its streams open, and sees its end', async () => {
    const stream = await client.openExec(id, ['cat']);
    stream.stderr.resume();
    stream.stdin.write('ping\n');
    const [answer] = (await once(stream.stdout, 'data')) as [Buffer];
    assert.equal(answer.toString(), 'ping\n');
    stream.stdin.end();
    stream.stdout.resume();
    await stream.closed;
  });

  it('sees the events of a container from the moment on in which it has subscribed', async () => {
    const ending = new AbortController();
    const events = await client.events({ signal: ending.signal });
    await vm.docker('run', '--rm', '--name', 'short', BASE_IMAGE, 'true');
    const seen: EngineEvent[] = [];
    for await (const event of events) {
      seen.push(event);
      if (event.action === 'destroy') ending.abort();
    }
    assert.deepEqual(
      seen.map(({ type, action }) => `${type} ${action}`),
      [
        'container create',
        'network connect',
        'container start',
        'container die',
        'network disconnect',
        'container destroy',
      ],
    );
    const start = seen.find(({ action }) => action === 'start');
    assert.equal(start?.attributes['name'], 'short');
    const connect = seen.find(({ action }) => action === 'connect');
    assert.equal(connect?.attributes['container'], start.actorId);
  });

  it('is given events again from a moment before', async () => {
    const ending = new AbortController();
    const sinceSeconds = Date.now() / 1000;
    await vm.docker('rename', 'web', 'renamed');
    const events = await client.events({ sinceSeconds, signal: ending.signal });
    for await (const { action, actorId } of events) {
      assert.deepEqual([action, actorId], ['rename', id]);
      ending.abort();
    }
  });

  it('says that an engine that hangs does not answer, and works on when it does', async () => {
    vm.engine.freeze();
    try {
      await assert.rejects(client.ping(300), { code: 'MSI_ENGINE_UNRESPONSIVE' });
    } finally {
      vm.engine.unfreeze();
    }
    await client.ping();
  });

  it('sees the stream end when the engine is killed, and reaches the one that is started again', async () => {
    const events = await client.events({ signal: new AbortController().signal });
    const over = (async () => {
      for await (const { type } of events) assert.ok(type);
    })();
    await vm.engine.kill();
    await over;
    await assert.rejects(client.ping(), { code: 'MSI_ENGINE_UNREACHABLE' });
    await vm.engine.start();
    assert.ok((await client.version()).apiVersion);
  });
});
