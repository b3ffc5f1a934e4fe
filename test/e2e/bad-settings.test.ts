import assert from 'node:assert/strict';
import { chmod } from 'node:fs/promises';
import { waitUntil } from '../lab/index.ts';
import { Scenario } from './support/scenario.ts';

describe('what an operator may get wrong', () => {
  let scenario: Scenario;

  before(async () => {
    scenario = await Scenario.start({ wiring: 'host' });
  });
  after(() => scenario[Symbol.asyncDispose]());

  async function exitOf(container: string): Promise<{ code: number; log: string }> {
    const code = Number((await scenario.docker('wait', container)).trim());
    const { stdout, stderr } = await scenario.vm.engine.run(['logs', container]);
    await scenario.removeContainers(container);
    return { code, log: stdout + stderr };
  }

  it('is said all at once for settings of the proxy, with exit code 78', async () => {
    await scenario.startProxy({ env: { MSI_PROXY_ROUTE: 'maybe', MSI_PROXY_LISTEN: 'port 80' } });
    const { code, log } = await exitOf('proxy');
    assert.equal(code, 78);
    assert.match(log, /MSI_PROXY_ROUTE is \\"maybe\\": expected one of \\"auto\\", \\"off\\"/);
    assert.match(log, /MSI_PROXY_LISTEN is \\"port 80\\": expected host:port/);
  });

  it('is said for a proxy without the capability to add its route', async () => {
    await scenario.docker(
      'run',
      '--detach',
      '--name',
      'powerless',
      '--label',
      'MSIProxyContainer',
      'msi-proxy/proxy:latest',
    );
    const { code, log } = await exitOf('powerless');
    assert.equal(code, 1);
    assert.match(log, /MSI_ROUTE_NO_CAPABILITY/);
    assert.match(log, /--cap-add NET_ADMIN/);
  });

  it('is said for settings of the monitor, with exit code 78', async () => {
    const { exitCode, stdout } = await scenario.runMonitorCommandWith(
      { MSI_MONITOR_WIRING: 'magic', DOCKER_HOST: 'docker' },
      'run',
    );
    assert.equal(exitCode, 78);
    assert.match(stdout, /MSI_MONITOR_WIRING is \\"magic\\": expected one of/);
    assert.match(stdout, /DOCKER_HOST is \\"docker\\": expected/);
  });

  it('is said for a socket that is not there, and the monitor waits for it', async () => {
    await scenario.startUnconnectedMonitor({ DOCKER_HOST: 'unix:///nowhere/docker.sock' });
    await waitUntil(() => scenario.monitorLog().includes('unix:///nowhere/docker.sock'), {
      what: 'the monitor to name the socket',
    });
    const { engine } = await scenario.status();
    assert.equal(engine.state, 'connecting');
    await scenario.stopMonitor();
  });

  it('is said for a socket that the monitor may not use', async () => {
    await chmod(scenario.vm.engine.socketPath, 0o600);
    const { stdout, stderr } = await scenario.runMonitorCommandWith({}, 'unwire', '--all');
    // Root may use any socket; what a user may not is shown by the unprivileged run below.
    assert.doesNotMatch(stdout + stderr, /MSI_ENGINE_FORBIDDEN/);
    const denied = await scenario.runMonitorCommandAs(65_534, 'unwire', '--all');
    assert.match(denied.stdout + denied.stderr, /the monitor may not open \S+: expected to run as root/);
    assert.notEqual(denied.exitCode, 0);
  });
});
