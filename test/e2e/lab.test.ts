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
  VM_ADDRESS,
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

describe('a lab whose owner was killed', () => {
  it('is removed without a trace by the next run', async () => {
    const [file, ...args] = nodeArgv('test/e2e/support/abandoned-lab.ts');
    const owner = spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const [id] = (await once(owner.stdout.setEncoding('utf8'), 'data')) as [string];
    owner.kill('SIGKILL');
    await once(owner, 'close');
    const lab = id.trim();
    assert.ok(existsSync(`/var/run/netns/msi-vm-${lab}`));

    const removed = await removeAbandonedLabs();

    assert.ok(removed.some(record => record.id === lab));
    assert.deepEqual(
      readdirSync('/var/run/netns').filter(name => name.endsWith(lab)),
      [],
    );
    assert.equal(existsSync(`/var/tmp/msi-lab-${lab}`), false);
    assert.equal(existsSync(`/run/msi-proxy-lab/${lab}.json`), false);
    assert.equal(readFileSync('/proc/mounts', 'utf8').includes(`msi-lab-${lab}`), false);
    assert.deepEqual(processesNaming(`msi-lab-${lab}`), []);
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
