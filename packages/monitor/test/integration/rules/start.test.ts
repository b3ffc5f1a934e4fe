import assert from 'node:assert/strict';
import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { MONITOR_ARGV } from '../../support/monitor-process.ts';
import { Namespace } from './lab/mini-vm.ts';
import { skipUnlessNamespaces } from './lab/requirements.ts';
import { until } from './lab/until.ts';

const ADDRESS = '10.99.0.4';

interface LogLine {
  readonly msg: string;
  readonly level: string;
  readonly err?: { readonly code?: string };
}

describe('A monitor whose VM has no address yet', function () {
  this.timeout(60_000);

  let vm: Namespace | undefined;
  let monitor: ChildProcessByStdio<null, Readable, null>;
  let logged: LogLine[];
  let ended: Promise<unknown[]>;

  before(async function () {
    await skipUnlessNamespaces(this);
    vm = await Namespace.create('vm');
    const argv = [...MONITOR_ARGV, 'run', '--listen', `${ADDRESS}:9180`];
    monitor = spawn('nsenter', [`--net=${vm.path}`, ...argv], {
      env: { ...process.env, DOCKER_HOST: 'unix:///nowhere/docker.sock', MSI_MONITOR_WIRING: 'host' },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    ended = once(monitor, 'exit');
    logged = [];
    createInterface(monitor.stdout).on('line', line => logged.push(JSON.parse(line) as LogLine));
  });

  after(async () => {
    if (vm === undefined) return;
    monitor.kill('SIGKILL');
    await ended;
    await vm.remove();
  });

  const linesThat = (pattern: RegExp) => logged.filter(({ msg }) => pattern.test(msg));

  it('shuts the way to IMDS all the same, and says once that it does not serve its status', async () => {
    await until('the refusal of the address', () => Promise.resolve(linesThat(/not served/).length > 0));
    await until('the rules', async () =>
      (await vm!.run('nft', 'list', 'ruleset')).includes('169.254.169.254 meta l4proto tcp'),
    );
    const [said] = linesThat(/not served/);
    assert.deepEqual([said?.level, said?.err?.code], ['warn', 'MSI_LISTEN_FAILED']);
    assert.equal(monitor.exitCode, null);
  });

  it('says that health checks do not see where it listens', () => {
    assert.equal(linesThat(/^--listen is not seen by the other commands/).length, 1);
  });

  it('serves its status when the address is there, and ends as usual', async () => {
    await vm!.run('ip', 'address', 'add', `${ADDRESS}/32`, 'dev', 'lo');
    await until('the status', () => Promise.resolve(linesThat(/^Status is served/).length > 0));
    assert.equal(linesThat(/not served/).length, 1);
    monitor.kill('SIGTERM');
    assert.deepEqual(await ended, [0, null]);
  });
});
