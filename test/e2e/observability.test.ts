import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { Disposables } from '@msi-proxy/shared/testing';
import { runCommand, tokenPath, waitUntil } from '../lab/index.ts';
import { Prometheus } from './support/prometheus.ts';
import { Scenario } from './support/scenario.ts';

const TOKEN = { path: tokenPath('https://vault.azure.net') };
const DASHBOARD = new URL('../../deploy/observability/dashboard.json', import.meta.url);

interface Panel {
  readonly title: string;
  readonly targets: readonly { readonly expr: string }[];
}

describe('watched by Prometheus', () => {
  const disposables = new Disposables();
  let scenario: Scenario;
  let prometheus: Prometheus;

  before(async function () {
    if ((await runCommand(['prometheus', '--version']).catch(() => undefined)) === undefined) {
      console.log('    skipped: prometheus is not installed (Debian package prometheus)');
      this.skip();
    }
    scenario = await Scenario.start({ wiring: 'host' });
    disposables.add(scenario);
    await scenario.startMonitor();
    await scenario.startProxy();
    await scenario.untilServing();
    await scenario.startClient({ name: 'client' });
    await scenario.untilWired('client');
    assert.equal((await scenario.request('client', TOKEN)).status, 200);
    prometheus = await Prometheus.start(scenario.vm);
  });
  after(() => disposables.dispose());

  async function valueOf(expression: string): Promise<number | undefined> {
    return (await prometheus.query(expression))[0]?.value;
  }

  it('shows in one scrape the monitor, the proxy, and the request of a client', async () => {
    await waitUntil(
      async () =>
        (await valueOf('msi_proxy_requests_total{proxy="proxy",group="token",outcome="allowed"}')) === 1,
      { what: 'the request to be counted' },
    );
    assert.equal(await valueOf('msi_monitor_clients{state="wired"}'), 1);
    assert.equal(await valueOf('msi_monitor_proxy_up'), 1);
  });

  it('answers each question of the dashboard', async () => {
    const { panels } = JSON.parse(readFileSync(DASHBOARD, 'utf8')) as { panels: readonly Panel[] };
    const empty = new Set(panels.map(({ title }) => title));
    await waitUntil(
      async () => {
        await scenario.request('client', TOKEN);
        for (const { title, targets } of panels.filter(each => empty.has(each.title))) {
          const answers = await Promise.all(
            targets.map(({ expr }) => prometheus.query(expr.replaceAll('$instance', '.*'))),
          );
          if (answers.every(samples => samples.length > 0)) empty.delete(title);
        }
        return empty.size === 0;
      },
      { what: 'each panel to have data' },
    ).catch((cause: unknown) => {
      throw new Error(`panels without data: ${[...empty].join(', ')}`, { cause });
    });
  });

  it('is quiet while all is well', async () => {
    assert.deepEqual(await prometheus.firing(), []);
  });

  it('calls when no proxy serves, and stops when one serves again', async () => {
    await scenario.docker('kill', '--signal', 'KILL', 'proxy');
    await prometheus.untilFiring('MsiProxyDown');
    await scenario.docker('start', 'proxy');
    await scenario.untilServing();
    await prometheus.untilFiring();
  });

  it('calls when the monitor is gone, and stops when one is back', async () => {
    await scenario.killMonitor();
    await prometheus.untilFiring('MsiMonitorDown');
    await scenario.startMonitor();
    await scenario.untilServing();
    await prometheus.untilFiring();
  });

  it('has nothing to say about names and texts of the real page', async () => {
    const page = await scenario.vm.exec(['curl', '--silent', 'http://127.0.0.1:9180/metrics']);
    const { exitCode, stdout, stderr } = await runCommand(['promtool', 'check', 'metrics'], {
      stdin: `${page}\n`,
    });
    assert.deepEqual({ exitCode, said: `${stdout}${stderr}` }, { exitCode: 0, said: '' });
  });
});
