import assert from 'node:assert/strict';
import { readApp } from '../../marathon/definitions.ts';
import {
  dockerRunArguments,
  dockerStopArguments,
  healthCheckArguments,
  type Agent,
} from '../../marathon/docker-containerizer.ts';

const LINUX: Agent = { os: 'linux', sandbox: '/var/lib/mesos/s', hostname: 'agent-1' };
const WINDOWS: Agent = { os: 'windows', sandbox: 'C:\\mesos\\s', hostname: 'agent-2' };
const CONTAINER_ID = '0a1b2c3d-0000-4000-8000-000000000000';

/** Without the variables, which say what the definition says once more. */
function runArguments(name: string, agent: Agent): string[] {
  const args = dockerRunArguments({ app: readApp(name), agent, containerId: CONTAINER_ID });
  return args.filter((arg, index) => arg !== '-e' && args[index - 1] !== '-e');
}

describe('the docker run that Mesos makes of the definitions', () => {
  it('starts the proxy on Linux', () => {
    assert.deepEqual(runArguments('proxy-linux', LINUX), [
      'run',
      '--cpu-shares',
      '102',
      '--memory',
      '268435456',
      '-v',
      '/var/lib/mesos/s:/mnt/mesos/sandbox',
      '--net',
      'bridge',
      '--name',
      `mesos-${CONTAINER_ID}`,
      '--label=MSIProxyContainer',
      '--cap-add=NET_ADMIN',
      '--log-opt=max-size=10m',
      '--log-opt=max-file=5',
      `--label=MESOS_TASK_ID=msi-proxy_proxy-linux.${CONTAINER_ID}`,
      'msi-proxy/proxy:latest',
    ]);
  });

  it('starts the proxy on Windows, on the NAT network and without capabilities', () => {
    const args = runArguments('proxy-windows', WINDOWS);
    assert.deepEqual(args.slice(5, 9), ['-v', 'C:\\mesos\\s:C:\\mesos\\sandbox', '--net', 'nat']);
    assert.ok(args.includes('--label=MSIProxyContainer'));
    assert.ok(!args.some(arg => arg.startsWith('--cap-add')));
  });

  it('gives the monitor the engine: the folder of its socket on Linux, its pipe on Windows', () => {
    assert.ok(runArguments('monitor-linux', LINUX).includes('/var/run:/host/run:rw'));
    const pipe = '\\\\.\\pipe\\docker_engine';
    assert.ok(runArguments('monitor-windows', WINDOWS).includes(`${pipe}:${pipe}:rw`));
  });

  it("passes the client's labels and command as one argument each", () => {
    for (const [name, agent] of [
      ['client-linux', LINUX],
      ['client-windows', WINDOWS],
    ] as const) {
      const args = runArguments(name, agent);
      assert.ok(args.includes('--label=com.msi-proxy.identity=system'));
      assert.deepEqual(args.slice(args.indexOf('msi-proxy/client:latest') + 1), readApp(name).args);
    }
  });

  it('refuses host networking on Windows, as Mesos does', () => {
    assert.throws(() => runArguments('monitor-linux', WINDOWS), /refuses host networking/);
  });

  it('checks health inside the container with the shell of the platform', () => {
    const check = (name: string, agent: Agent) =>
      healthCheckArguments({ app: readApp(name), agent, containerId: CONTAINER_ID });
    const container = `mesos-${CONTAINER_ID}`;
    assert.deepEqual(check('proxy-linux', LINUX), ['exec', container, 'sh', '-c', 'msi-proxy healthcheck']);
    assert.deepEqual(check('monitor-windows', WINDOWS), [
      'exec',
      container,
      'cmd.exe',
      '/c',
      'msi-monitor status',
    ]);
    assert.equal(check('client-linux', LINUX), undefined);
  });

  it('leaves the proxy time to finish what it serves', () => {
    const task = { app: readApp('proxy-linux'), agent: LINUX, containerId: CONTAINER_ID };
    assert.deepEqual(dockerStopArguments(task), ['stop', '-t', '15', `mesos-${CONTAINER_ID}`]);
  });
});
