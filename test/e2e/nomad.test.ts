import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { dirname, join } from 'node:path';
import { tokenPath, waitUntil } from '../lab/index.ts';
import { containerName, dockerRunArguments } from '../nomad/docker-driver.ts';
import { readJob, type NomadTask } from '../nomad/job-files.ts';
import { Scenario } from './support/scenario.ts';

const LAB_IMAGES = { tag: 'latest', proxy_tag: 'latest', monitor_tag: 'latest' };

describe('on a node of Nomad, from the job files', () => {
  let scenario: Scenario;
  let client: string;

  before(async () => {
    scenario = await Scenario.start({ wiring: 'host' });
    for (const task of (await readJob('msi-proxy', LAB_IMAGES)).tasks) await launch(onThisNode(task));
    client = await launch((await readJob('orders', LAB_IMAGES)).tasks[0]!);
    await scenario.untilWired(client);
  });
  after(() => scenario[Symbol.asyncDispose]());

  async function launch(task: NomadTask): Promise<string> {
    const allocationId = randomUUID();
    const directory = join(scenario.vm.directory, 'nomad', allocationId);
    await scenario.docker(...dockerRunArguments(task, allocationId, directory));
    return containerName(task, allocationId);
  }

  /** The lab's engine has its socket elsewhere, so that one folder of the node differs. */
  function onThisNode(task: NomadTask): NomadTask {
    const folder = dirname(scenario.vm.engine.socketPath);
    const volumes = task.config.volumes?.map(volume => volume.replace('/var/run:', `${folder}:`)) ?? [];
    return { ...task, config: { ...task.config, volumes } };
  }

  it('lets the example client have its token', async () => {
    await waitUntil(async () => /^200 /m.test(await scenario.docker('logs', client)), {
      what: 'the client to have its token',
      timeoutMillis: 60_000,
    });
  });

  it('gives the client what its labels say, and no more', async () => {
    const { status } = await scenario.request(client, { path: tokenPath('https://storage.azure.com') });
    assert.equal(status, 403);
  });
});
