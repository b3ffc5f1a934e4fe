import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { runCli } from '../../../src/cli.ts';
import type { GuardStatus } from '@msi-proxy/shared';
import { FakeEngine } from '../../support/fake-engine/index.ts';
import { someStatus, statusServerOf } from '../../unit/status/support.ts';

describe('msi-monitor explain', () => {
  let engine: FakeEngine;

  before(async () => {
    engine = await FakeEngine.start();
    engine.run({ name: 'orders', labels: { MSIClientContainer: '', 'com.msi-proxy.identity': 'system' } });
    engine.run({ name: 'bystander' });
  });
  after(() => engine[Symbol.asyncDispose]());

  async function explain(
    name: string,
    listen = '127.0.0.1:1',
  ): Promise<{ exitCode: number; stdout: string; stderr: string }> {
    const [stdout, stderr] = [new PassThrough(), new PassThrough()];
    const exitCode = await runCli({
      processUsage: () => ({ residentBytes: 1, cpuMicros: 1 }),
      argv: ['explain', name],
      environment: { DOCKER_HOST: engine.host, MSI_MONITOR_LISTEN: listen },
      stdout,
      stderr,
      version: '1.2.3',
      platform: 'linux',
      selfArgv: ['node', 'main.js'],
      onStop: () => undefined,
    });
    return { exitCode, stdout: String(stdout.read() ?? ''), stderr: String(stderr.read() ?? '') };
  }

  it('says what the labels give, without a monitor', async () => {
    const { exitCode, stdout } = await explain('orders');
    assert.equal(exitCode, 0);
    assert.match(stdout, /^Identities\n {2}A request that names no identity is for the VM’s own/m);
    assert.match((await explain('bystander')).stdout, /^Label\n {2}It has no label MSIClientContainer/m);
  });

  it('does not vouch for a guard of which no monitor tells', async () => {
    const { stdout } = await explain('bystander');
    assert.match(stdout, /It may reach IMDS directly: no monitor answers/);
    assert.doesNotMatch(stdout, /no way to IMDS/);
  });

  it('goes by how it is with the guard of the monitor that runs', async () => {
    const guard: GuardStatus = { mode: 'enforce', state: 'in-place', repairs: 0, stopped: [] };
    let status = someStatus({ guard });
    await using server = statusServerOf({ status: () => status });
    const { port } = await server.start();
    const said = async () => (await explain('bystander', `127.0.0.1:${port}`)).stdout.replaceAll(/\s+/g, ' ');
    assert.match(await said(), /There is no way to IMDS past the proxy/);
    status = someStatus({ guard: { ...guard, state: 'not-in-place', reason: 'nft said no' } });
    assert.match(await said(), /It may reach IMDS directly: the guard is not in place now/);
    status = someStatus({ guard: { ...guard, mode: 'off', state: 'off' } });
    assert.match(await said(), /the guard is off/);
  });

  it('takes an id for a name', async () => {
    const { id } = engine.state.container('orders');
    assert.match((await explain(id)).stdout, /^Container\n {2}orders/);
  });

  it('names the container that was probably meant', async () => {
    const { exitCode, stderr } = await explain('order');
    assert.equal(exitCode, 1);
    assert.match(
      stderr,
      /^MSI_CONTAINER_UNKNOWN: No container "order" runs \(did you mean "orders"\?\)\n→ See `docker ps`/,
    );
  });
});
