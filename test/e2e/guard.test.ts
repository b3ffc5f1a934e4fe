import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { IMDS_ADDRESS, WIRESERVER_ADDRESS } from '@msi-proxy/shared';
import { PROXY_NETWORK, PYTHON_IMAGE, tokenPath } from '../lab/index.ts';
import { Scenario } from './support/scenario.ts';

const TOKEN_PATH = tokenPath('https://vault.azure.net');
const TOKEN = { path: TOKEN_PATH, timeoutSeconds: 5 };
const ATTACK = readFileSync(new URL('support/attacks/past-the-proxy.py', import.meta.url), 'utf8');
const PROXY_ADDRESS = '172.31.250.2';

/** What a person who runs the VM has there, and what must not change. */
const ADMIN_RULES = `table inet admin {
  chain forward {
    type filter hook forward priority filter; policy accept;
    tcp dport 4444 drop comment "administrator's own"
  }
}`;

describe('the guard', function () {
  this.timeout(180_000);
  let scenario: Scenario;
  let untouched: string;

  before(async () => {
    scenario = await Scenario.start({ wiring: 'host' });
    await countPacketsAtAzure();
    await scenario.vm.exec(['nft', '-f', '-'], { stdin: ADMIN_RULES });
    await scenario.docker('network', 'create', '--subnet', '172.31.250.0/24', PROXY_NETWORK);
    await scenario.vm.exec(['iptables', '-I', 'DOCKER-USER', '-p', 'tcp', '--dport', '4445', '-j', 'DROP']);
    // Off by default on Linux; where it is on, packets name IMDS only after the rules have looked.
    await scenario.vm.exec(['sysctl', '-q', '-w', 'net.ipv4.conf.all.accept_source_route=1']);
    untouched = await rulesOfVm();
    await scenario.startMonitor();
    await scenario.startProxy({ extra: ['--ip', PROXY_ADDRESS] });
    await scenario.untilServing();
  });
  after(() => scenario[Symbol.asyncDispose]());

  async function countPacketsAtAzure(): Promise<void> {
    const rules = [
      'table ip probe {',
      '  counter arrived { }',
      '  chain in {',
      '    type filter hook prerouting priority raw; policy accept;',
      `    ip daddr ${IMDS_ADDRESS} counter name arrived`,
      `    ip daddr ${WIRESERVER_ADDRESS} tcp dport { 80, 32526 } counter name arrived`,
      '  }',
      '}',
    ];
    await scenario.vm.imds.exec(['nft', rules.join('\n')]);
  }

  async function rulesOfVm(): Promise<string> {
    const parts = [
      await scenario.vm.exec(['nft', '--stateless', 'list', 'ruleset']),
      (await scenario.vm.exec(['iptables-legacy-save'])).replaceAll(/^#.*\n?|\[\d+:\d+\]/gm, ''),
      await scenario.vm.exec(['ip', 'rule', 'show']),
      // IPv6 addresses come and go by themselves for a while after a link is up.
      (await scenario.vm.exec(['ip', '-4', 'route', 'show', 'table', 'all'])).replaceAll(' linkdown', ''),
    ];
    return parts.join('\n---\n').replaceAll(/counter packets \d+ bytes \d+/g, 'counter');
  }

  /**
   * Without what is ours: the table, the rules of the routing, and the rule in DOCKER-USER, whose comment nft does not show.
   */
  function withoutOurs(rules: string): string {
    return rules
      .replaceAll(/^4\d:\t.* proto 169 ?\n/gm, '')
      .replace(/^table ip msi_proxy \{\n[^]*?^\}\n?/m, '')
      .replaceAll(/^.*ct original daddr 169\.254\.169\.254 .*accept\n/gm, '');
  }

  async function startAttacker(network: string): Promise<string> {
    const name = `attacker-on-${network}`;
    await scenario.startContainer({ name, network, image: PYTHON_IMAGE });
    return name;
  }

  /** Tries everything. @returns what came of each try, and how many packets arrived at Azure's side */
  async function attackFrom(container: string) {
    const route = await scenario.docker('exec', container, 'ip', 'route', 'show', 'default');
    const gateway = /via (\S+)/.exec(route)?.[1] ?? '';
    await scenario.vm.imds.forgetArrivals();
    await scenario.vm.imds.exec(['nft', 'reset', 'counter', 'ip', 'probe', 'arrived']);
    const argv = ['exec', '--interactive', container, 'python3', '-', gateway, PROXY_ADDRESS, TOKEN_PATH];
    const { stdout, stderr } = await scenario.vm.engine.run(argv, { stdin: ATTACK });
    const outcomes = JSON.parse(stdout || `"${stderr}"`) as Record<string, string>;
    const counter = await scenario.vm.imds.exec(['nft', 'list', 'counter', 'ip', 'probe', 'arrived']);
    return { outcomes, packets: Number(/packets (\d+)/.exec(counter)?.[1]) };
  }

  async function getsNothing(container: string): Promise<void> {
    const { outcomes, packets } = await attackFrom(container);
    assert.ok(Object.keys(outcomes).length > 50, JSON.stringify(outcomes));
    assert.equal(packets, 0, JSON.stringify(outcomes));
    for (const [name, outcome] of Object.entries(outcomes))
      assert.doesNotMatch(outcome, /HTTP\/1.1 200/, name);
    const { connections, wireServerRequests } = await scenario.vm.imds.arrivals();
    assert.deepEqual({ connections, wireServerRequests }, { connections: [], wireServerRequests: 0 });
  }

  it("touches nobody else's rules", async () => {
    assert.equal(withoutOurs(await rulesOfVm()), untouched);
  });

  it('stops containers on the default bridge, whatever they send', async () => {
    await getsNothing(await startAttacker('bridge'));
  });

  for (const [kind, ...options] of [['plain'], ['internal', '--internal']] as const) {
    it(`stops containers on a network that was made later (${kind})`, async () => {
      await scenario.docker('network', 'create', ...options, `later-${kind}`);
      await getsNothing(await startAttacker(`later-${kind}`));
    });
  }

  it('stops containers that leave by docker_gwbridge', async () => {
    await scenario.docker('swarm', 'init', '--advertise-addr', '10.0.0.4', '--listen-addr', '10.0.0.4:2377');
    await scenario.docker('network', 'create', '--driver', 'overlay', '--attachable', 'later-overlay');
    const attacker = await startAttacker('later-overlay');
    const route = await scenario.docker('exec', attacker, 'ip', 'route', 'show', 'default');
    const bridge = await scenario.docker(
      ...['network', 'inspect', '--format', '{{(index .IPAM.Config 0).Gateway}}', 'docker_gwbridge'],
    );
    assert.ok(route.includes(`via ${bridge.trim()} `), route);
    await getsNothing(attacker);
  });

  it('names those whom it stopped in status and log', async () => {
    const { guard } = await scenario.untilStatus('them to be named', status =>
      status.guard.stopped.some(({ name }) => name === 'attacker-on-bridge'),
    );
    const attacker = guard.stopped.find(({ name }) => name === 'attacker-on-bridge');
    assert.ok((attacker?.attempts ?? 0) > 10, JSON.stringify(guard));
    assert.match(scenario.monitorLog(), /stopped container \\"attacker-on-bridge\\"/);
    const { stdout } = await scenario.runMonitorCommand('status');
    assert.match(stdout, /The guard stopped:\n.*\n(.*\n)*\s*attacker-on-bridge\s/);
  });

  const DAMAGES: Readonly<Record<string, readonly [string, ...string[]]>> = {
    'its table was deleted': ['nft', 'delete', 'table', 'ip', 'msi_proxy'],
    'its chain was flushed': ['nft', 'flush', 'chain', 'ip', 'msi_proxy', 'guard'],
    'a rule was put before its own': ['nft', 'insert', 'rule', 'ip', 'msi_proxy', 'guard', 'accept'],
    'DOCKER-USER was reordered': ['iptables', '-I', 'DOCKER-USER', '-m', 'comment', '--comment', 'odd'],
  };
  for (const [index, [damage, argv]] of Object.entries(DAMAGES).entries()) {
    it(`is in place again at the next network event when ${damage}, and counts it`, async () => {
      const { repairs } = (await scenario.status()).guard;
      await scenario.vm.exec(argv);
      await scenario.docker('network', 'create', `event-${index}`);
      const { guard } = await scenario.untilStatus(
        'a repair',
        status => status.guard.repairs > repairs,
        8_000,
      );
      assert.notDeepEqual(guard.lastRepair?.differences, []);
      await getsNothing('attacker-on-bridge');
    });
  }

  it('is in place again when its whole table was deleted', async () => {
    const { repairs } = (await scenario.status()).guard;
    await scenario.vm.exec(['nft', 'delete', 'table', 'ip', 'msi_proxy']);
    await scenario.untilStatus('a repair', status => status.guard.repairs > repairs, 15_000);
    await getsNothing('attacker-on-bridge');
    assert.match(scenario.monitorLog(), /rules of the VM had changed and were mended/);
  });

  it('stays when monitor and proxy are killed: then nobody gets through', async () => {
    await scenario.startClient({ name: 'client' });
    await scenario.untilWired('client');
    await scenario.killMonitor();
    await scenario.docker('kill', 'proxy');
    await getsNothing('attacker-on-bridge');
    assert.equal((await scenario.request('client', TOKEN)).status, 0);
    const { connections } = await scenario.vm.imds.arrivals();
    assert.deepEqual(connections, []);
  });

  describe('in audit mode', () => {
    before(async () => {
      await scenario.startMonitor({ MSI_MONITOR_GUARD: 'audit' });
      await scenario.docker('start', 'proxy');
      await scenario.untilServing();
      await scenario.untilWired('client');
    });

    it('stops nobody, counts and names who would have been stopped', async () => {
      const { status } = await scenario.request('attacker-on-bridge', TOKEN);
      assert.equal(status, 200);
      const { guard } = await scenario.untilStatus('it to be named', ({ guard: { stopped } }) =>
        stopped.some(({ name, attempts }) => name === 'attacker-on-bridge' && attempts > 0),
      );
      assert.equal(guard.mode, 'audit');
      assert.match(scenario.monitorLog(), /would have stopped container \\"attacker-on-bridge\\"/);
    });

    it('serves labelled containers by their policy', async () => {
      await scenario.startClient({
        name: 'narrow',
        labels: { 'com.msi-proxy.resources': 'https://management.azure.com' },
      });
      await scenario.untilWired('narrow');
      assert.equal((await scenario.request('narrow', TOKEN)).status, 403);
      const { guard } = await scenario.status();
      assert.ok(!guard.stopped.some(({ name }) => name === 'narrow'));
    });
  });

  describe('when it is taken away', () => {
    it('leaves no trace, and then all that was stopped gets through', async () => {
      await scenario.stopMonitor();
      const { exitCode, stdout } = await scenario.runMonitorCommand('unwire', '--all');
      assert.equal(exitCode, 0, stdout);
      const { outcomes, packets } = await attackFrom('attacker-on-bridge');
      assert.match(outcomes[`tcp ${IMDS_ADDRESS}:80`] ?? '', /200/);
      assert.ok(packets > 30, `${packets} packets`);
      const names = await scenario.docker('ps', '--all', '--format', '{{.Names}}');
      await scenario.removeContainers(...names.split('\n'));
      await scenario.docker('swarm', 'leave', '--force');
      for (const network of ['docker_gwbridge', 'later-plain', 'later-internal', 'event-0', 'event-1']) {
        await scenario.docker('network', 'rm', network);
      }
      await scenario.docker('network', 'rm', 'event-2', 'event-3');
      await scenario.vm.exec(['iptables', '-D', 'DOCKER-USER', '-m', 'comment', '--comment', 'odd']);
      assert.equal(await rulesOfVm(), untouched);
    });
  });
});

describe('the guard, with an engine that does not use iptables', function () {
  this.timeout(180_000);
  let scenario: Scenario;

  before(async () => {
    scenario = await Scenario.start({ wiring: 'host', iptables: false });
    // What Docker does not do then is the administrator's business.
    const masquerade = [
      'table ip admin {',
      '  chain out {',
      '    type nat hook postrouting priority srcnat; policy accept;',
      '    ip saddr 172.16.0.0/12 oifname "eth0" masquerade',
      '  }',
      '}',
    ];
    await scenario.vm.exec(['nft', masquerade.join('\n')]);
    await scenario.startMonitor({ MSI_MONITOR_PROXY_SUBNET: '172.31.250.0/24' });
    await scenario.untilStatus('the guard', ({ guard }) => guard.state === 'in-place');
    await scenario.startProxy();
    await scenario.untilServing();
  });
  after(() => scenario[Symbol.asyncDispose]());

  it('serves and guards by its own hooks alone', async () => {
    await scenario.startClient({ name: 'client' });
    await scenario.startContainer({ name: 'unlabelled' });
    await scenario.untilWired('client');
    assert.equal((await scenario.request('client', TOKEN)).status, 200);
    await scenario.vm.imds.forgetArrivals();
    assert.notEqual((await scenario.request('unlabelled', TOKEN)).status, 200);
    const other = await scenario.request('unlabelled', {
      ...TOKEN,
      extra: ['--connect-to', '::169.254.169.254:8080'],
    });
    assert.match(other.failure ?? '', /Couldn't connect|refused/);
    assert.deepEqual((await scenario.vm.imds.arrivals()).connections, []);
    assert.doesNotMatch(await scenario.vm.exec(['iptables-save']), /msi-proxy/);
  });
});
