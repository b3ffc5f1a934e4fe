import assert from 'node:assert/strict';
import { MsiProxyError } from '@msi-proxy/shared';
import type { Check } from '../../../src/doctor/check.ts';
import { clientsCheck } from '../../../src/doctor/checks/clients.ts';
import { containersCheck } from '../../../src/doctor/checks/containers.ts';
import { engineCheck } from '../../../src/doctor/checks/engine.ts';
import { engineVersionCheck } from '../../../src/doctor/checks/engine-version.ts';
import { firewallCheck } from '../../../src/doctor/checks/firewall.ts';
import { guardCheck } from '../../../src/doctor/checks/guard.ts';
import { monitorCheck } from '../../../src/doctor/checks/monitor.ts';
import { neighboursCheck } from '../../../src/doctor/checks/neighbours.ts';
import { proxyCheck } from '../../../src/doctor/checks/proxy.ts';
import { rightsCheck } from '../../../src/doctor/checks/rights.ts';
import { imdsCheck, proxyRouteCheck, proxyServerCheck } from '../../../src/doctor/checks/upstream.ts';
import { witnessCheck } from '../../../src/doctor/checks/witness.ts';
import { fakeCommandRunner, notInstalled } from '../support/fake-command-runner.ts';
import { someStatus } from '../status/support.ts';
import { BRIDGE, container, factsOf, HEALTHY_PROXY, type World } from './support.ts';

const NO_MONITOR = new MsiProxyError('MSI_STATUS_UNAVAILABLE', 'No monitor answers at 127.0.0.1:9180');
const WITHOUT_RIGHTS = { '/proc/self/status': 'CapEff:\t0000000000000000\n' };

const GUARD_TABLE = (...comments: readonly string[]) =>
  JSON.stringify({
    nftables: [
      { chain: { name: 'guard' } },
      ...comments.map(comment => ({ rule: { chain: 'guard', comment, expr: [] } })),
    ],
  });
const WHOLE_GUARD = GUARD_TABLE('other TCP at IMDS', 'anything else at IMDS', 'WireServer');

async function outcome(check: Check, world: World = {}): Promise<string> {
  const { result, seen, remedy } = await check.run(factsOf({ subject: {}, ...world }));
  assert.equal(remedy !== undefined, result === 'warning' || result === 'failed', seen);
  return `${result}: ${seen}`;
}

function status(changes: Parameters<typeof someStatus>[0]) {
  return { status: someStatus(changes) };
}

describe('the doctor asks of the VM', () => {
  it('whether the engine answers', async () => {
    assert.match(await outcome(engineCheck), /^ok: unix:\/\/\/var\/run\/docker.sock answers/);
    const error = new MsiProxyError('MSI_ENGINE_FORBIDDEN', 'may not open it');
    await assert.rejects(outcome(engineCheck, { engine: { ping: () => Promise.reject(error) } }), error);
  });

  it('which version it is', async () => {
    assert.equal(await outcome(engineVersionCheck), 'ok: Docker 28.0.0, API 1.48');
  });

  it('whether it tells about all containers', async () => {
    assert.equal(await outcome(containersCheck), 'ok: the engine tells about the one that it lists');
    const containers = [container(), container({ id: 'stuck-id', name: 'stuck' })];
    assert.equal(
      await outcome(containersCheck, { containers }),
      'ok: the engine tells about all 2 that it lists',
    );
    const hangs = new MsiProxyError('MSI_ENGINE_UNRESPONSIVE', 'no answer within 5 s');
    const inspectContainer = async (id: string) =>
      id === 'stuck-id' ? await Promise.reject(hangs) : await Promise.resolve(container());
    assert.equal(
      await outcome(containersCheck, { containers, engine: { inspectContainer } }),
      'warning: the engine lists, but does not tell about stuck (no answer within 5 s)',
    );
  });

  describe('its rights and tools', () => {
    it('all there', async () => {
      assert.match(await outcome(rightsCheck), /^ok: NET_ADMIN/);
    });

    it('missing: a warning where attach goes without, a failure where it must not', async () => {
      const world = { files: WITHOUT_RIGHTS, status: NO_MONITOR };
      assert.match(await outcome(rightsCheck, world), /^warning: the monitor has no capability NET_ADMIN/);
      const host = { ...world, environment: { MSI_MONITOR_WIRING: 'host' } };
      assert.match(await outcome(rightsCheck, host), /^failed: the monitor has no capability NET_ADMIN/);
    });

    it('missing here, but not to the monitor', async () => {
      assert.match(await outcome(rightsCheck, { files: WITHOUT_RIGHTS }), /^skipped: the monitor has them/);
    });

    it('too few for nat', async () => {
      const files = {
        '/proc/self/status': 'CapEff:\t0000000000001000\n',
        '/proc/self/net/dev': ' docker0: 0',
      };
      assert.match(await outcome(rightsCheck, { files }), /^ok: .*would need SYS_ADMIN, SYS_PTRACE too$/);
      const nat = { files, environment: { MSI_MONITOR_WIRING: 'nat' } };
      assert.match(await outcome(rightsCheck, nat), /^failed: no capability SYS_ADMIN, SYS_PTRACE/);
    });

    it('a program is not installed', async () => {
      const without = (program: string) => ({
        runner: fakeCommandRunner(command =>
          command.startsWith(program) ? notInstalled(program) : undefined,
        ),
      });
      assert.equal(await outcome(rightsCheck, without('nft')), 'failed: not installed: nft');
      assert.match(await outcome(rightsCheck, without('conntrack')), /^warning: conntrack/);
    });

    it('not needed for Windows, or for attach', async () => {
      assert.match(await outcome(rightsCheck, { platform: 'win32' }), /^skipped/);
      assert.match(await outcome(rightsCheck, { environment: { MSI_MONITOR_WIRING: 'attach' } }), /^skipped/);
    });
  });

  describe('the monitor', () => {
    it('runs', async () => {
      assert.match(await outcome(monitorCheck), /^ok: version 0\.1\.0/);
    });

    it('does not run', async () => {
      assert.match(await outcome(monitorCheck, { status: NO_MONITOR }), /^failed: No monitor answers/);
    });

    it('does not reach the engine', async () => {
      const engine = { state: 'connecting', since: '', lastError: 'no such socket' } as const;
      assert.match(await outcome(monitorCheck, status({ engine })), /^failed: .*connecting: no such socket/);
    });

    it('is of another version', async () => {
      assert.match(await outcome(monitorCheck, { version: '0.2.0' }), /^warning: version 0\.1\.0 runs/);
    });
  });

  describe('the proxy', () => {
    const [serving] = someStatus().proxies;
    const other = (state: 'standby' | 'unhealthy' | 'starting', reason?: string) => ({
      ...serving!,
      containerId: 'b'.repeat(64),
      name: 'second',
      state,
      ...(reason !== undefined && { reason }),
    });

    it('serves', async () => {
      assert.equal(await outcome(proxyCheck), 'ok: proxy serves at 172.31.250.2');
    });

    it('has others beside it', async () => {
      assert.match(
        await outcome(proxyCheck, status({ proxies: [serving!, other('standby')] })),
        /^ok: .*second would take over/,
      );
      assert.match(
        await outcome(proxyCheck, status({ proxies: [serving!, other('unhealthy', 'no route')] })),
        /^warning: proxy serves, but second is unhealthy \(no route\)/,
      );
    });

    it('is of another version', async () => {
      assert.match(
        await outcome(proxyCheck, status({ proxies: [{ ...serving!, version: '0.0.9' }] })),
        /^warning: proxy serves with version 0\.0\.9, the monitor is 0\.1\.0$/,
      );
    });

    it('is not there, or does not serve', async () => {
      assert.match(
        await outcome(proxyCheck, status({ proxies: [] })),
        /^failed: no container with the label/,
      );
      assert.match(
        await outcome(proxyCheck, status({ proxies: [other('starting')] })),
        /^failed: none serves/,
      );
      assert.match(
        await outcome(proxyCheck, status({ proxies: [other('unhealthy', 'no route')] })),
        /^failed: none serves: second is unhealthy \(no route\)/,
      );
    });

    it('has its route, IMDS and a server that is well', async () => {
      assert.match(await outcome(proxyRouteCheck), /^ok: .*172\.31\.0\.1/);
      assert.match(await outcome(imdsCheck), /^ok: .*status 200/);
      assert.match(await outcome(proxyServerCheck), /^ok: .*it knows 1 address/);
    });

    it('only records policies', async () => {
      const policy = { mode: 'audit', requireIdentity: false } as const;
      const world = { proxyCheck: { ...HEALTHY_PROXY, policy } };
      assert.match(await outcome(proxyServerCheck, world), /^warning: policies are only recorded/);
    });

    it('lacks them', async () => {
      const broken = { ok: false, seen: 'broken' };
      const world = { proxyCheck: { ...HEALTHY_PROXY, route: broken, imds: broken, server: broken } };
      for (const check of [proxyRouteCheck, imdsCheck, proxyServerCheck]) {
        assert.equal(await outcome(check, world), 'failed: broken');
      }
    });

    it('cannot be asked', async () => {
      const runExec = () =>
        Promise.resolve({ exitCode: 64, stdout: '', stderr: 'MSI_USAGE: unknown command' });
      await assert.rejects(outcome(imdsCheck, { engine: { runExec } }), /exit code 64: MSI_USAGE/);
    });
  });

  describe('the guard', () => {
    const kernel = (stdout: string) => ({ runner: fakeCommandRunner(() => ({ stdout })) });
    const guard = someStatus().guard;

    it('is in place', async () => {
      assert.equal(await outcome(guardCheck, kernel(WHOLE_GUARD)), 'ok: the direct way is shut');
      const alone = { ...guard, barrier: { state: 'unavailable', reason: 'no ip' } as const };
      assert.match(
        await outcome(guardCheck, { ...kernel(WHOLE_GUARD), ...status({ guard: alone }) }),
        /^warning: the direct way is shut; there is no second barrier in the routing: no ip/,
      );
      const mended = { ...guard, repairs: 2, lastRepair: { at: 'noon', differences: [] } };
      assert.match(
        await outcome(guardCheck, { ...kernel(WHOLE_GUARD), ...status({ guard: mended }) }),
        /^ok: .*mended 2 times, last at noon/,
      );
    });

    it('is gone from the kernel, or not whole, whatever the monitor says', async () => {
      const absent = fakeCommandRunner(() => ({ exitCode: 1, stderr: 'No such file or directory' }));
      for (const said of [someStatus(), NO_MONITOR]) {
        assert.match(
          await outcome(guardCheck, { runner: absent, status: said }),
          /^failed: the table ip msi_proxy is not there/,
        );
      }
      const partial = kernel(GUARD_TABLE('other TCP at IMDS', 'WireServer'));
      assert.match(
        await outcome(guardCheck, partial),
        /^failed: rules are missing .*: anything else at IMDS/,
      );
    });

    it('is off, only counts, cannot be, or is not in place', async () => {
      const of = (changes: Partial<typeof guard>) =>
        outcome(guardCheck, { ...kernel(WHOLE_GUARD), ...status({ guard: { ...guard, ...changes } }) });
      assert.match(await of({ mode: 'off', state: 'off' }), /^warning: MSI_MONITOR_GUARD is off/);
      assert.match(await of({ mode: 'audit' }), /^warning: counts, but stops nobody/);
      assert.match(await of({ state: 'unavailable', reason: 'Windows' }), /^warning: Windows/);
      assert.match(await of({ state: 'not-in-place', reason: 'nft failed' }), /^failed: .*nft failed/);
    });

    it('is taken from the monitor where the kernel cannot be asked', async () => {
      assert.match(await outcome(guardCheck, { files: WITHOUT_RIGHTS }), /^ok/);
      assert.match(await outcome(guardCheck, { files: WITHOUT_RIGHTS, status: NO_MONITOR }), /^skipped/);
    });
  });

  describe('Docker’s firewall', () => {
    const RULE =
      '-A DOCKER-USER -m conntrack --ctstate DNAT --ctorigdst 169.254.169.254 -m comment --comment msi-proxy -j ACCEPT';
    const saved = (...rules: readonly string[]) => ({
      runner: fakeCommandRunner(command =>
        command.endsWith('-save')
          ? {
              stdout: [
                '*filter',
                ':FORWARD DROP',
                ':DOCKER-USER - [0:0]',
                '-A FORWARD -j DOCKER-USER',
                ...rules,
                'COMMIT',
              ].join('\n'),
            }
          : undefined,
      ),
    });

    it('lets redirected requests pass', async () => {
      assert.match(await outcome(firewallCheck, saved(RULE)), /^ok: iptables/);
    });

    it('does not', async () => {
      assert.match(await outcome(firewallCheck, saved()), /^failed: DOCKER-USER: .* missing/);
    });

    it('is another one than iptables', async () => {
      const runner = fakeCommandRunner(() => ({ stdout: '' }));
      assert.match(await outcome(firewallCheck, { runner }), /^warning: there is no chain DOCKER-USER/);
    });

    it('does not matter to other methods, and cannot be looked at without rights', async () => {
      assert.match(await outcome(firewallCheck, { environment: { MSI_MONITOR_WIRING: 'nat' } }), /^skipped/);
      assert.match(await outcome(firewallCheck, { files: WITHOUT_RIGHTS }), /^skipped/);
    });
  });

  it('whether all labelled containers are served', async () => {
    assert.equal(await outcome(clientsCheck), 'ok: 1 labelled container, all wired');
    const [web] = someStatus().clients;
    const clients = [web!, { ...web!, name: 'job', state: 'refused', reason: 'mistyped' } as const];
    assert.equal(
      await outcome(clientsCheck, status({ clients })),
      'warning: not wired are 1 of 2 labelled containers: job is refused (mistyped)',
    );
  });

  describe('who vouches for containers while Docker hangs', () => {
    const SEEN = {
      '/proc/4242/stat': `4242 (node) S ${'0 '.repeat(18)}100 0`,
      '/proc/4242/net/fib_trie': '  |-- 172.17.0.2\n    /32 host LOCAL\n',
    };

    it('their processes, where this one sees them', async () => {
      assert.equal(
        await outcome(witnessCheck, { files: SEEN }),
        'ok: the processes of clients vouch for them',
      );
    });

    for (const [what, files] of [
      ['no process of that number', {}],
      ['a process of that number, of another network', { ...SEEN, '/proc/4242/net/fib_trie': '' }],
    ] as const) {
      it(`nobody for long, where there is ${what}`, async () => {
        assert.match(
          await outcome(witnessCheck, { files }),
          /^ok: .* until a container goes; with --pid host/,
        );
      });
    }

    it('Docker only, where a monitor has nothing but its API, or containers are Windows’', async () => {
      const environment = { MSI_MONITOR_WIRING: 'attach' };
      assert.match(await outcome(witnessCheck, { environment }), /^skipped: /);
      assert.match(await outcome(witnessCheck, { platform: 'win32' }), /^skipped: /);
    });
  });

  describe('who could take over an address', () => {
    const beside = (changes: Partial<ReturnType<typeof container>> = {}) =>
      container({
        id: 'd'.repeat(64),
        name: 'neighbour',
        labels: {},
        networks: [{ name: 'bridge', networkId: 'net-bridge', address: '172.17.0.9' }],
        mayForgePackets: true,
        ...changes,
      });
    const among = (...others: ReturnType<typeof container>[]) => ({ containers: [container(), ...others] });

    it('a container with NET_RAW on the same bridge', async () => {
      for (const subject of [{}, { container: 'web' }]) {
        assert.match(
          await outcome(neighboursCheck, { ...among(beside()), subject }),
          /^warning: .*NET_RAW.*: neighbour$/,
        );
      }
    });

    it('not one without NET_RAW, on another network, a proxy, or one that shares the namespace', async () => {
      const other = { ...BRIDGE, id: 'net-other', name: 'other' };
      for (const harmless of [
        beside({ mayForgePackets: false }),
        beside({ networks: [{ name: 'other', networkId: 'net-other', address: '172.18.0.2' }] }),
        beside({ labels: { MSIProxyContainer: '' } }),
        beside({ networkMode: `container:${container().id}` }),
      ]) {
        assert.match(
          await outcome(neighboursCheck, { ...among(harmless), networks: [BRIDGE, other] }),
          /^ok/,
          JSON.stringify(harmless),
        );
      }
    });

    it('some of many', async () => {
      const many = Array.from({ length: 14 }, (_, index) =>
        beside({ id: String(index).padStart(64, '0'), name: `n${index}` }),
      );
      assert.match(await outcome(neighboursCheck, among(...many)), /and 4 more$/);
    });
  });
});
