import assert from 'node:assert/strict';
import {
  INSTANCE_HEADER,
  MsiProxyError,
  parseIdentity,
  type ClientStatus,
  type CommandResult,
} from '@msi-proxy/shared';
import type { Check } from '../../../src/doctor/check.ts';
import { callerCheck } from '../../../src/doctor/checks/caller.ts';
import { containerCheck } from '../../../src/doctor/checks/container.ts';
import { clientLabelCheck, policyLabelsCheck } from '../../../src/doctor/checks/labels.ts';
import { networkCheck } from '../../../src/doctor/checks/network.ts';
import { requestCheck } from '../../../src/doctor/checks/request.ts';
import { rulesCheck } from '../../../src/doctor/checks/rules.ts';
import { sharersCheck } from '../../../src/doctor/checks/sharers.ts';
import { verdictCheck } from '../../../src/doctor/checks/verdict.ts';
import { wiringCheck } from '../../../src/doctor/checks/wiring.ts';
import type { NetworkDetails } from '../../../src/docker/index.ts';
import { fakeCommandRunner } from '../support/fake-command-runner.ts';
import { someStatus } from '../status/support.ts';
import { BRIDGE, CLIENT_ID, container, factsOf, HEALTHY_PROXY, PROXY_ID, type World } from './support.ts';

const WEB = { container: 'web' };

async function outcome(check: Check, world: World = {}): Promise<string> {
  const { result, seen, remedy } = await check.run(factsOf({ subject: WEB, ...world }));
  assert.equal(remedy !== undefined, result === 'warning' || result === 'failed', seen);
  return `${result}: ${seen}`;
}

function labelled(labels: Readonly<Record<string, string>>): World {
  return { containers: [container({ labels })] };
}

/** What the monitor says of the client. */
function said(changes: Partial<ClientStatus>): World {
  const [web] = someStatus().clients;
  return { status: someStatus({ clients: [{ ...web!, ...changes }] }) };
}

describe('the doctor asks of a container', () => {
  it('whether it is there and runs', async () => {
    assert.equal(await outcome(containerCheck), 'ok: web (c1c1c1c1c1c1) of web:1 is running');
    assert.match(
      await outcome(containerCheck, { containers: [container({ state: 'exited' })] }),
      /^failed: it is exited/,
    );
    const { seen, remedy } = await containerCheck.run(factsOf({ subject: { container: 'wbe' } }));
    assert.equal(`${seen}. ${remedy ?? ''}`, 'there is no container "wbe". Did you mean web?');
  });

  it('whether it is labelled', async () => {
    assert.match(await outcome(clientLabelCheck), /^ok/);
    assert.equal(
      await outcome(clientLabelCheck, labelled({ app: 'x' })),
      'failed: it has no label MSIClientContainer',
    );
    assert.match(
      await outcome(clientLabelCheck, labelled({ msiclientcontainer: '' })),
      /^failed: .*, but "msiclientcontainer"$/,
    );
    assert.match(
      await outcome(clientLabelCheck, labelled({ MSIClientContainer: '', MSIProxyContainer: '' })),
      /^failed: it has both labels/,
    );
  });

  it('whether its policy can be read', async () => {
    assert.match(await outcome(policyLabelsCheck), /^ok: none/);
    assert.match(
      await outcome(
        policyLabelsCheck,
        labelled({ MSIClientContainer: '', 'com.msi-proxy.identity': 'system' }),
      ),
      /^ok: com\.msi-proxy\.identity$/,
    );
    const world = labelled({ MSIClientContainer: '', 'com.msi-proxy.ressources': '*' });
    assert.match(await outcome(policyLabelsCheck, world), /^failed: .*ressources/);
    const { remedy } = await policyLabelsCheck.run(factsOf(world));
    assert.match(remedy ?? '', /ressources was probably meant to be com\.msi-proxy\.resources/);
  });

  describe('its network', () => {
    const on = (networkMode: string, driver = 'bridge', address = '172.18.0.2'): World => ({
      containers: [container({ networkMode, networks: [{ name: 'net', networkId: 'net', address }] })],
      networks: [{ ...BRIDGE, id: 'net', name: 'net', driver }],
    });

    it('a bridge', async () => {
      assert.equal(await outcome(networkCheck, on('net')), 'ok: net (bridge) 172.18.0.2');
    });

    it('that of the VM, none, or one without an address', async () => {
      assert.match(await outcome(networkCheck, on('host', 'host', '')), /^failed: .*--network host/);
      assert.match(await outcome(networkCheck, on('none', 'null', '')), /^failed: .*--network none/);
      assert.match(await outcome(networkCheck, on('net', 'bridge', '')), /^failed: it has no address/);
    });

    it('macvlan, which is for nat', async () => {
      assert.match(await outcome(networkCheck, on('net', 'macvlan')), /^warning: .*crosses no bridge/);
      const nat = { ...on('net', 'macvlan'), environment: { MSI_MONITOR_WIRING: 'nat' } };
      assert.match(await outcome(networkCheck, nat), /^ok/);
    });

    it('that of another container', async () => {
      const owner = container({ id: 'e'.repeat(64), name: 'owner' });
      const web = container({ networkMode: `container:${owner.id}`, networks: [] });
      assert.match(
        await outcome(networkCheck, { containers: [owner, web] }),
        /^ok: it shares .* 172\.17\.0\.2/,
      );
      assert.match(
        await outcome(networkCheck, { containers: [web] }),
        /^failed: the container whose network it shares/,
      );
    });
  });

  it('who shares its address', async () => {
    assert.match(await outcome(sharersCheck), /^ok: nobody/);
    const sharer = (labels: Readonly<Record<string, string>>) =>
      container({
        id: 'f'.repeat(64),
        name: 'sidecar',
        labels,
        networkMode: `container:${CLIENT_ID}`,
        networks: [],
      });
    const labelledOne = { containers: [container(), sharer({ MSIClientContainer: '' })] };
    assert.match(await outcome(sharersCheck, labelledOne), /^ok: sidecar/);
    const stranger = { containers: [container(), sharer({})] };
    assert.match(await outcome(sharersCheck, stranger), /^failed: .*sidecar; so its address is refused/);
    const ignored = { ...stranger, environment: { MSI_MONITOR_UNLABELLED_SHARERS: 'ignore' } };
    assert.match(await outcome(sharersCheck, ignored), /^warning: .*sidecar/);
  });

  it('what the monitor made of it', async () => {
    assert.equal(
      await outcome(wiringCheck, said({ wiredAfterMillis: 12.4 })),
      'ok: wired by host, 12 ms after its start',
    );
    for (const state of ['refused', 'pending', 'failed'] as const) {
      assert.equal(
        await outcome(wiringCheck, said({ state, reason: 'so it is' })),
        `failed: ${state}: so it is`,
      );
    }
    assert.match(
      await outcome(wiringCheck, { status: someStatus({ clients: [] }) }),
      /^failed: the monitor does not know it/,
    );
  });

  it('whether the proxy knows its address', async () => {
    assert.match(await outcome(callerCheck), /^ok: 172\.17\.0\.2 is/);
    const [caller] = HEALTHY_PROXY.callers!;
    const knows = (...callers: readonly (typeof caller)[]) => ({
      proxyCheck: { ...HEALTHY_PROXY, callers: callers.map(each => each!) },
    });
    assert.equal(await outcome(callerCheck, knows()), 'failed: not known there: 172.17.0.2');
    assert.match(
      await outcome(callerCheck, knows({ ...caller!, grant: { kind: 'refused', reason: 'two have it' } })),
      /^failed: 172\.17\.0\.2 is refused there: two have it/,
    );
    assert.match(
      await outcome(callerCheck, knows({ ...caller!, grant: { kind: 'unlabelled' } })),
      /^failed: .*without the label/,
    );
  });

  describe('the rules of its wiring method', () => {
    const table = (target: string) =>
      JSON.stringify({ nftables: [{ map: { name: 'target', elem: [[80, { concat: [target, 80] }]] } }] });
    const kernel = (stdout: string) => ({ runner: fakeCommandRunner(() => ({ stdout })) });

    it('host: where requests are sent', async () => {
      assert.equal(
        await outcome(rulesCheck, kernel(table('172.31.250.2'))),
        'ok: requests for 169.254.169.254 are sent to 172.31.250.2:80',
      );
      assert.match(await outcome(rulesCheck, kernel(table('172.31.250.9'))), /^failed: .*not the proxy/);
      assert.match(await outcome(rulesCheck, kernel('{"nftables":[]}')), /^failed: .*leads nowhere/);
    });

    it('nat: what is in its namespace', async () => {
      const inside = (nft: string, route: string) => ({
        ...said({ method: 'nat' as const }),
        namespaces: {
          enter: () =>
            Promise.resolve({
              programsFrom: 'monitor' as const,
              runner: fakeCommandRunner(command =>
                command.startsWith('nft')
                  ? nft === ''
                    ? { exitCode: 1, stderr: 'No such file or directory' }
                    : { stdout: nft }
                  : { stdout: route, exitCode: route === '' ? 2 : 0, stderr: 'RTNETLINK answers: no route' },
              ),
            }),
        },
      });
      const route = '[{"dev":"eth0"}]';
      assert.match(await outcome(rulesCheck, inside('{"nftables":[]}', route)), /^ok/);
      assert.match(
        await outcome(rulesCheck, inside('', route)),
        /^failed: the table ip msi_proxy_client is missing/,
      );
      assert.match(await outcome(rulesCheck, inside('{"nftables":[]}', '')), /^failed: it has no route/);
    });

    it('attach: who is on the network', async () => {
      const on = (containers: NetworkDetails['containers']) => ({
        ...said({ method: 'attach' as const }),
        engine: { inspectNetwork: () => Promise.resolve({ ...BRIDGE, containers }) },
      });
      const proxy = { [PROXY_ID]: { address: '169.254.169.254' } };
      assert.match(
        await outcome(rulesCheck, on({ ...proxy, [CLIENT_ID]: { address: '169.254.169.3' } })),
        /^ok/,
      );
      assert.match(await outcome(rulesCheck, on(proxy)), /^failed: it is not on the network/);
      assert.match(await outcome(rulesCheck, on({})), /^failed: the proxy does not have the address/);
    });

    it('portproxy: left to the monitor', async () => {
      assert.match(await outcome(rulesCheck, said({ method: 'portproxy' })), /^skipped/);
    });
  });

  describe('a request from inside it', () => {
    const instanceId = 'instance-1';
    const [proxy] = someStatus().proxies;
    const status = someStatus({ proxies: [{ ...proxy!, instanceId }] });
    const probed = (answer: Partial<CommandResult>) => {
      const runner = fakeCommandRunner(() => answer);
      return {
        status,
        runner,
        namespaces: { enter: () => Promise.resolve({ runner, programsFrom: 'monitor' as const }) },
      };
    };

    const answer = (httpStatus: number, by: string) => ({
      stdout: `HTTP/1.1 ${httpStatus} Any\r\n${by === '' ? '' : `${INSTANCE_HEADER}: ${by}\r\n`}\r\n`,
    });

    it('that reaches the serving proxy', async () => {
      const world = probed(answer(200, instanceId));
      assert.match(await outcome(requestCheck, world), /^ok/);
      assert.match(world.runner.commands.join(), /^curl [^,]*$/);
    });

    it('that does not', async () => {
      assert.match(
        await outcome(requestCheck, probed({ exitCode: 7, stderr: 'curl: (7) Failed to connect' })),
        /^failed: .*Failed to connect/,
      );
      assert.match(await outcome(requestCheck, probed(answer(400, ''))), /^failed: .*not as a proxy/);
      assert.match(await outcome(requestCheck, probed(answer(200, 'other'))), /^failed: .*another proxy/);
      assert.match(await outcome(requestCheck, probed(answer(503, instanceId))), /^failed: .*status 503/);
      assert.match(
        await outcome(requestCheck, probed({ exitCode: 127, stderr: 'cannot load a library' })),
        /^skipped: .*exit code 127/,
      );
    });

    const tools = (answers: Readonly<Record<string, string>>) => {
      const asked: string[] = [];
      const runExec = (_: string, [program = '']: readonly string[]) => {
        asked.push(program);
        const stdout = answers[program];
        return Promise.resolve({
          exitCode: stdout === undefined ? 127 : 0,
          stdout: stdout ?? '',
          stderr: '',
        });
      };
      return { status, asked, engine: { runExec } };
    };
    const HEAD = `HTTP/1.1 200 OK\r\nX-MSI-Proxy-Instance: ${instanceId}\r\n\r\n{}`;

    it('with what its image has, where its namespace cannot be entered', async () => {
      for (const program of ['curl', 'wget']) {
        assert.match(await outcome(requestCheck, tools({ [program]: HEAD })), /^ok/);
      }
      const none = tools({});
      assert.match(await outcome(requestCheck, none), /^skipped: .*neither curl nor wget/);
      assert.deepEqual(none.asked, ['curl', 'wget']);
    });

    it('never from one that is refused, such as one on the network of the VM', async () => {
      const enter = () => Promise.reject(new Error('must not be entered'));
      const world = { containers: [container({ networkMode: 'host', networks: [] })], namespaces: { enter } };
      assert.match(await outcome(requestCheck, world), /^skipped/);
    });
  });

  describe('what its policy says', () => {
    const labels = {
      MSIClientContainer: '',
      'com.msi-proxy.identity': 'system',
      'com.msi-proxy.resources': 'https://vault.azure.net',
    };
    const asked = (wish: { resource?: string; identity?: string }, world: World = {}) => {
      const identity = wish.identity === undefined ? undefined : parseIdentity(wish.identity);
      return outcome(verdictCheck, {
        containers: [container({ labels })],
        ...world,
        subject: {
          container: 'web',
          ...(wish.resource !== undefined && { resource: wish.resource }),
          ...(identity !== undefined && { identity }),
        },
      });
    };

    it('and what the settings of the proxy do to it', async () => {
      const wish = { resource: 'https://storage.azure.com' };
      const under = (policy: typeof HEALTHY_PROXY.policy) => ({ proxyCheck: { ...HEALTHY_PROXY, policy } });
      const audit = under({ mode: 'audit', requireIdentity: false });
      assert.match(await asked(wish, audit), /^warning: .*only as long as MSI_PROXY_POLICY is audit/);
      const strict = { ...under({ mode: 'enforce', requireIdentity: true }), containers: [container()] };
      assert.match(await asked(wish, strict), /^failed: .*MSI_PROXY_REQUIRE_IDENTITY/);
      assert.match(await asked(wish, { ...strict, proxyCheck: HEALTHY_PROXY }), /^ok/);
      assert.match(await asked(wish, { status: new Error('no monitor') }), /^failed: .*refused/);
    });

    it('to a request for a token', async () => {
      assert.match(await asked({ resource: 'https://vault.azure.net/' }), /^ok: .*allowed, as system$/);
      assert.match(await asked({ resource: 'https://storage.azure.com' }), /^failed: .*refused/);
      assert.match(
        await asked({ identity: 'object:00000000-0000-0000-0000-000000000001' }),
        /^failed: .*only these/,
      );
      assert.match(await asked({}), /^skipped: .*--resource/);
    });
  });

  it('and takes the error of the engine for its own', async () => {
    const inspectContainer = () => Promise.reject(new MsiProxyError('MSI_ENGINE_UNRESPONSIVE', 'it hangs'));
    await assert.rejects(outcome(containerCheck, { engine: { inspectContainer } }), /it hangs/);
  });
});
