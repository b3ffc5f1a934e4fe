import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import {
  BASE_IMAGE,
  instancePath,
  nodeArgv,
  preparedEngineData,
  removeAbandonedLabs,
  SimulatedVm,
  VirtualNetwork,
  VM_ADDRESS,
  waitUntil,
} from '../lab/index.ts';

describe('the simulated VM', () => {
  let vm: SimulatedVm;

  before(async () => {
    vm = await SimulatedVm.start({ preparedData: await preparedEngineData() });
  });
  after(() => vm.remove());

  it("leads a container without the product to IMDS with the VM's own address, as Azure does", async () => {
    await vm.imds.forgetArrivals();
    const url = `http://169.254.169.254${instancePath('compute/name')}`;
    const name = await vm.docker(
      'run',
      '--rm',
      BASE_IMAGE,
      'curl',
      '--silent',
      '--header',
      'Metadata: true',
      url,
    );
    assert.equal(name, 'vm-emulated');
    const { connections } = await vm.imds.arrivals();
    assert.deepEqual(
      connections.map(({ remoteAddress }) => remoteAddress),
      [VM_ADDRESS],
    );
    assert.match(connections[0]!.received, /^GET \/metadata\/instance\/compute\/name\?/);
  });

  it('has no way out', async () => {
    const { exitCode } = await vm.run(['curl', '--silent', '--max-time', '1', 'http://192.0.2.1/']);
    assert.equal(exitCode, 28);
  });

  it('keeps containers running while its engine is killed, with live-restore', async () => {
    await using other = await SimulatedVm.start({
      imds: false,
      liveRestore: true,
      preparedData: await preparedEngineData(),
    });
    await other.docker('run', '--detach', '--name', 'steady', BASE_IMAGE, 'sleep', 'infinity');
    const format = '{{.State.Pid}} {{.State.Status}}';
    const before = await other.docker('inspect', '--format', format, 'steady');
    await other.engine.kill();
    await other.engine.start();
    assert.equal(await other.docker('inspect', '--format', format, 'steady'), before);
  });
});

describe('simulated VMs on a network', () => {
  it('reach each other while the cable is there, and each only its own IMDS', async () => {
    const preparedData = await preparedEngineData();
    await using network = await VirtualNetwork.create();
    await using first = await SimulatedVm.start({ preparedData, machine: { name: 'vm-1' } });
    await using second = await SimulatedVm.start({ preparedData, machine: { name: 'vm-2' } });
    await network.join(first, '10.99.0.1');
    await network.join(second, '10.99.0.2');
    await second.startDaemon('listener', [
      process.execPath,
      '--eval',
      "require('http').createServer((_, response) => response.end('second')).listen(8000, '10.99.0.2')",
    ]);
    const reachSecond = ['curl', '--silent', '--max-time', '1', 'http://10.99.0.2:8000/'] as const;
    await waitUntil(async () => (await first.run(reachSecond)).stdout === 'second', {
      what: 'the second VM',
    });

    const url = `http://169.254.169.254${instancePath('compute/name')}`;
    for (const [vm, name] of [
      [first, 'vm-1'],
      [second, 'vm-2'],
    ] as const) {
      assert.equal(await vm.exec(['curl', '--silent', '--header', 'Metadata: true', url]), name);
      assert.equal((await vm.imds.arrivals()).connections.length, 1);
      assert.equal(await vm.docker('info', '--format', '{{.Name}}'), name);
    }

    await network.cut(second);
    assert.notEqual((await first.run(reachSecond)).exitCode, 0);
    await network.mend(second);
    await waitUntil(async () => (await first.run(reachSecond)).stdout === 'second', {
      what: 'the second VM',
    });
  });
});

describe('a lab whose owner was killed', () => {
  it('is removed without a trace by the next run', async () => {
    const [file, ...args] = nodeArgv('test/e2e/support/abandoned-lab.ts');
    const owner = spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const [ids] = (await once(owner.stdout.setEncoding('utf8'), 'data')) as [string];
    owner.kill('SIGKILL');
    await once(owner, 'close');
    const [vm, network] = ids.trim().split(' ') as [string, string];
    assert.ok(existsSync(`/var/run/netns/msi-vm-${vm}`));
    assert.ok(existsSync(`/var/run/netns/msi-lan-${network}`));

    const removed = (await removeAbandonedLabs()).map(record => record.id);

    for (const lab of [vm, network]) {
      assert.ok(removed.includes(lab));
      assert.deepEqual(
        readdirSync('/var/run/netns').filter(name => name.endsWith(lab)),
        [],
      );
      assert.equal(existsSync(`/var/tmp/msi-lab-${lab}`), false);
      assert.equal(existsSync(`/run/msi-proxy-lab/${lab}.json`), false);
      assert.equal(readFileSync('/proc/mounts', 'utf8').includes(`msi-lab-${lab}`), false);
      assert.deepEqual(processesNaming(`msi-lab-${lab}`), []);
    }
  });
});

function processesNaming(text: string): string[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name) && existsSync(`/proc/${name}/cmdline`))
    .filter(name => {
      try {
        return readFileSync(`/proc/${name}/cmdline`, 'utf8').includes(text);
      } catch {
        return false;
      }
    });
}
