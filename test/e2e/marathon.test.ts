import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { tokenPath, waitUntil, type Daemon } from '../lab/index.ts';
import { readApp, type MarathonApp } from '../marathon/definitions.ts';
import {
  containerName,
  dockerRunArguments,
  dockerStopArguments,
  healthCheckArguments,
  type Task,
} from '../marathon/docker-containerizer.ts';
import { Scenario } from './support/scenario.ts';

/** A task that runs: the agent keeps `docker run` in the foreground, and its end is the task's. */
interface RunningTask extends Task {
  readonly dockerRun: Daemon;
}

describe('on an agent of DC/OS, from the app definitions for Marathon', () => {
  let scenario: Scenario;
  let proxy: RunningTask;
  let monitor: RunningTask;
  let client: RunningTask;

  before(async () => {
    scenario = await Scenario.start({ wiring: 'host' });
    monitor = await launch(onThisAgent(readApp('monitor-linux')));
    proxy = await launch(readApp('proxy-linux'));
    client = await launch(readApp('client-linux'));
    await untilMonitorAnswers();
  });
  after(() => scenario[Symbol.asyncDispose]());

  /** Starts what the Docker containerizer starts, as it starts it. */
  async function launch(app: MarathonApp): Promise<RunningTask> {
    const containerId = randomUUID();
    const sandbox = join(scenario.vm.directory, 'mesos', containerId);
    await mkdir(sandbox, { recursive: true });
    const task: Task = { app, agent: { os: 'linux', sandbox, hostname: 'agent-1' }, containerId };
    const dockerRun = await scenario.vm.startDaemon(containerName(task), [
      'docker',
      '-H',
      scenario.vm.engine.host,
      ...dockerRunArguments(task),
    ]);
    return { ...task, dockerRun };
  }

  /** The lab's engine has its socket elsewhere, so that one folder of the agent differs. */
  function onThisAgent(app: MarathonApp): MarathonApp {
    const volumes = (app.container.volumes ?? []).map(volume => ({
      ...volume,
      hostPath: dirname(scenario.vm.engine.socketPath),
    }));
    return { ...app, container: { ...app.container, volumes } };
  }

  async function untilMonitorAnswers(): Promise<void> {
    await waitUntil(async () => (await scenario.status()).engine.state === 'connected', {
      what: `the monitor to answer; its log: ${monitor.dockerRun.log}`,
    });
  }

  async function isHealthy(task: Task): Promise<boolean> {
    return (await scenario.vm.engine.run(healthCheckArguments(task)!)).exitCode === 0;
  }

  it('brings the client to the proxy', async () => {
    await scenario.untilServing(containerName(proxy));
    await scenario.untilWired(containerName(client));
    const { status, body, failure } = await scenario.request(containerName(client), {
      path: tokenPath('https://vault.azure.net'),
    });
    assert.equal(status, 200, body + (failure ?? ''));
  });

  it('gives the client what its labels say, and no more', async () => {
    const { status } = await scenario.request(containerName(client), {
      path: tokenPath('https://storage.azure.com'),
    });
    assert.equal(status, 403);
  });

  it('lets the example client get its token by itself', async () => {
    await waitUntil(() => client.dockerRun.log.includes('200 token valid until'), {
      what: 'the client to have its token',
      timeoutMillis: 30_000,
    });
  });

  it('is healthy for Mesos', async () => {
    for (const task of [proxy, monitor]) {
      await waitUntil(() => isHealthy(task), { what: `${task.app.id} to be healthy` });
    }
  });

  it('ends when it is told to, within the time it has', async () => {
    await scenario.docker(...dockerStopArguments(proxy));
    await waitUntil(() => !proxy.dockerRun.running, { what: 'the task of the proxy to end' });
    const exitCode = await scenario.docker(
      'inspect',
      '--format',
      '{{.State.ExitCode}}',
      containerName(proxy),
    );
    assert.equal(exitCode.trim(), '0');
  });

  it('serves again after the instances were replaced, as an upgrade does', async () => {
    await scenario.docker(...dockerStopArguments(monitor));
    proxy = await launch(proxy.app);
    monitor = await launch(monitor.app);
    await untilMonitorAnswers();
    await scenario.untilServing(containerName(proxy));
    await scenario.untilWired(containerName(client));
    const { status, body, failure } = await scenario.request(containerName(client), {
      path: tokenPath('https://vault.azure.net'),
    });
    assert.equal(status, 200, body + (failure ?? ''));
  });
});
