import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import { type CommandResult, IMDS_ADDRESS, MsiProxyError, silentLogger } from '@msi-proxy/shared';
import type { ClientNamespace } from '../../../src/wiring/client-namespace.ts';
import { createNatWiring } from '../../../src/wiring/nat.ts';
import type { ProbeOutcome } from '../../../src/wiring/probe.ts';
import type { ClientNetwork, WiringMethod } from '../../../src/wiring/wiring-method.ts';
import { network, proxyTarget, wirableClient } from '../support/clients.ts';
import { fakeCommandRunner, type FakeCommandRunner } from '../support/fake-command-runner.ts';
import { FakeNft } from '../support/fake-nft.ts';

const client = wirableClient();
const ROUTE_TO_IMDS = 'ip -4 -json route get fibmatch 169.254.169.254';
const LIST_FLOWS = 'conntrack -L -p tcp --orig-dst 169.254.169.254';
const NOWHERE = flow('SYN_SENT', '169.254.169.254', 80);
const TO_THE_PROXY = flow('ESTABLISHED', '172.31.250.2', 80);
const TO_ANOTHER = flow('ESTABLISHED', '172.31.250.2', 8080);

describe('createNatWiring', () => {
  let nft: FakeNft;
  let responses: Record<string, Partial<CommandResult>>;
  let runner: FakeCommandRunner;
  let outcome: ProbeOutcome;
  let probes: number;
  /** Probes that wait for their use, or for their end. */
  let prepared: number;
  let programsFrom: ClientNamespace['programsFrom'];
  let nat: WiringMethod;

  beforeEach(() => {
    nft = new FakeNft();
    responses = {
      [ROUTE_TO_IMDS]: { stdout: '[{"dst":"169.254.169.254","dev":"eth0"}]' },
    };
    probes = 0;
    prepared = 0;
    outcome = { status: 200, instanceId: 'instance-1' };
    programsFrom = 'monitor';
    runner = fakeCommandRunner((command, stdin) => responses[command] ?? nft.respond(command, stdin));
    nat = natAsking(() => outcome);
  });

  afterEach(() => assert.equal(prepared, 0, 'a program was left waiting'));

  function natAsking(answer: () => ProbeOutcome): WiringMethod {
    const ask = () => {
      probes += 1;
      return Promise.resolve(answer());
    };
    return createNatWiring({
      namespaces: { enter: () => Promise.resolve({ runner, programsFrom }) },
      probe: {
        ask,
        prepare: () => {
          prepared += 1;
          return { ask, cancel: () => (prepared -= 1) };
        },
      },
      logger: silentLogger,
    });
  }

  function batch(): string {
    return runner.inputs[runner.commands.indexOf('nft -f -')]!;
  }

  function flowCommands(): string[] {
    return runner.commands.filter(command => command.startsWith('conntrack'));
  }

  describe('suits', () => {
    it('a container on any network with an address', () => {
      for (const driver of ['bridge', 'macvlan', 'ipvlan', 'overlay']) {
        assert.deepEqual(nat.suits(wirableClient({ networks: [network({ driver })] })), { suitable: true });
      }
    });

    const unsuited: Record<string, ClientNetwork[]> = {
      'it is on the network host': [network({ name: 'host', driver: 'host', address: '' })],
      'it is on the network none': [network({ name: 'none', driver: 'null', address: '' })],
      'it has no address of its own': [network({ address: '' })],
    };
    for (const [reason, networks] of Object.entries(unsuited)) {
      it(`no container of which holds: ${reason}`, () => {
        assert.deepEqual(nat.suits(wirableClient({ networks })), { suitable: false, reason });
      });
    }

    it('no Windows container', () => {
      assert.ok(!nat.suits(wirableClient({ platform: 'windows' })).suitable);
    });
  });

  describe('apply', () => {
    it("takes the proxy's address on a network of the client's", async () => {
      const addressesByNetwork = { ...proxyTarget.addressesByNetwork, bridge: '172.17.0.9' };

      await nat.apply(client, { ...proxyTarget, addressesByNetwork });

      assert.match(batch(), /dnat to 172\.17\.0\.9:80 /);
    });

    it("takes the proxy's own address where they share no network", async () => {
      await nat.apply(client, proxyTarget);

      assert.match(batch(), /dnat to 172\.31\.250\.2:80 /);
    });

    it('is not led astray by a network with the name of a built-in property', async () => {
      await nat.apply(wirableClient({ networks: [network({ name: 'constructor' })] }), proxyTarget);

      assert.match(batch(), /dnat to 172\.31\.250\.2:80 /);
    });

    it('forgets connections that go elsewhere when it changed something, and only then', async () => {
      responses[LIST_FLOWS] = { stdout: [NOWHERE, TO_THE_PROXY, TO_ANOTHER, TO_ANOTHER].join('\n') };

      await nat.apply(client, proxyTarget);
      await nat.apply(client, proxyTarget);

      assert.deepEqual(flowCommands(), [
        LIST_FLOWS,
        'conntrack -D -p tcp --orig-dst 169.254.169.254 --reply-src 169.254.169.254 --reply-port-src 80',
        'conntrack -D -p tcp --orig-dst 169.254.169.254 --reply-src 172.31.250.2 --reply-port-src 8080',
      ]);
    });

    it('forgets all connections at once where a container has made them go to many places', async () => {
      const lines = Array.from({ length: 9 }, (_, host) => flow('ESTABLISHED', `10.0.0.${host}`, 80));
      responses[LIST_FLOWS] = { stdout: lines.join('\n') };

      await nat.apply(client, proxyTarget);

      assert.deepEqual(flowCommands(), [LIST_FLOWS, 'conntrack -D -p tcp --orig-dst 169.254.169.254']);
    });

    it('is content when there is no connection', async () => {
      responses[LIST_FLOWS] = { exitCode: 1, stderr: '0 flow entries have been shown.' };

      assert.equal(await nat.apply(client, proxyTarget), 'applied');

      assert.deepEqual(flowCommands(), [LIST_FLOWS]);
    });

    it('reads rules back only until it knows what they read like', async () => {
      const readings = () => runner.commands.filter(command => command.startsWith('nft -j list')).length;
      await nat.apply(client, proxyTarget);
      assert.equal(readings(), 2);
      await nat.remove(client);
      runner.forget();

      assert.equal(await nat.apply(client, proxyTarget), 'applied');

      assert.equal(readings(), 1);
    });

    it('makes rules without looking for others where there are likely none, and looks when there are', async () => {
      const nftCommands = () => runner.commands.filter(command => command.startsWith('nft'));
      await nat.apply(client, proxyTarget);
      await nat.remove(client);
      runner.forget();

      assert.equal(await nat.apply(client, proxyTarget, { isLikelyNew: true }), 'applied');
      assert.deepEqual(nftCommands(), ['nft -f -']);
      assert.match(batch(), /^create table ip msi_proxy_client\n/);

      assert.equal(await nat.apply(client, proxyTarget, { isLikelyNew: true }), 'unchanged');
      nft.dropRule('to the proxy');
      assert.equal(await nat.apply(client, proxyTarget, { isLikelyNew: true }), 'repaired');
    });

    it('is not done before the proxy has answered', async () => {
      outcome = { status: 200, instanceId: 'old' };
      responses[`ip -4 -json route get ${IMDS_ADDRESS}`] = { stdout: '[{"dev":"eth0"}]' };

      await assert.rejects(nat.apply(client, proxyTarget), {
        code: 'MSI_WIRING_NOT_EFFECTIVE',
        message: /answered by another proxy/,
      });
    });

    it('has ended all that it began when it fails', async () => {
      responses[ROUTE_TO_IMDS] = { exitCode: 1, stderr: 'no ip' };

      await assert.rejects(nat.apply(client, proxyTarget), { code: 'MSI_WIRING_COMMAND' });
      const { length } = runner.commands;
      await setImmediate();

      assert.equal(nft.exists, true);
      assert.equal(runner.commands.length, length);
    });

    it('adds a route only where there is none', async () => {
      responses[ROUTE_TO_IMDS] = {
        exitCode: 2,
        stderr: 'RTNETLINK answers: Network is unreachable\n',
      };
      responses['ip -4 -json route get 172.31.250.2'] = { stdout: '[{"dev":"eth1"}]' };

      assert.equal(await nat.apply(client, proxyTarget), 'applied');

      assert.ok(runner.commands.includes('ip -4 -json route add 169.254.169.254/32 dev eth1 proto 77'));
    });

    it('leaves a route of its own alone that leads to the proxy', async () => {
      responses[ROUTE_TO_IMDS] = { stdout: '[{"dst":"169.254.169.254","dev":"eth1","protocol":"77"}]' };
      responses['ip -4 -json route get 172.31.250.2'] = { stdout: '[{"dev":"eth1"}]' };
      await nat.apply(client, proxyTarget);

      assert.equal(await nat.apply(client, proxyTarget), 'unchanged');

      assert.ok(!runner.commands.some(command => / route (add|replace) /.test(command)));
    });

    it('is content with a route of several ways', async () => {
      responses[ROUTE_TO_IMDS] = { stdout: '[{"dst":"default","nexthops":[{"dev":"eth0"},{"dev":"eth1"}]}]' };

      assert.equal(await nat.apply(client, proxyTarget), 'applied');

      assert.ok(!runner.commands.some(command => command.includes(' route add ')));
    });

    it('moves its route when the proxy is reached by another interface', async () => {
      responses[ROUTE_TO_IMDS] = { stdout: '[{"dst":"169.254.169.254","dev":"eth0","protocol":"77"}]' };
      responses['ip -4 -json route get 172.31.250.2'] = { stdout: '[{"dev":"eth1"}]' };

      assert.equal(await nat.apply(client, proxyTarget), 'repaired');

      assert.ok(runner.commands.includes('ip -4 -json route replace 169.254.169.254/32 dev eth1 proto 77'));
    });

    it('tells that the proxy cannot be reached from a container without routes', async () => {
      const unreachable = { exitCode: 2, stderr: 'RTNETLINK answers: Network is unreachable\n' };
      responses[ROUTE_TO_IMDS] = unreachable;
      responses['ip -4 -json route get 172.31.250.2'] = unreachable;

      await assert.rejects(nat.apply(client, proxyTarget), {
        code: 'MSI_WIRING_NOT_EFFECTIVE',
        message: /connect the proxy to one of its networks/,
      });
    });
  });

  describe('redirect', () => {
    const next = { ...proxyTarget, addressesByNetwork: { bridge: '172.17.0.10' } };

    beforeEach(async () => {
      await nat.apply(client, proxyTarget);
      runner.forget();
    });

    it('sends a client to another proxy by one transaction, without reading anything', async () => {
      await nat.redirect!(client, next, { flushFlows: false });

      assert.deepEqual(runner.commands, ['nft -f -']);
      assert.match(batch(), /dnat to 172\.17\.0\.10:80 /);
    });

    it('forgets what goes to a proxy that is gone', async () => {
      responses[LIST_FLOWS] = { stdout: TO_THE_PROXY };

      await nat.redirect!(client, next, { flushFlows: true });

      assert.equal(
        runner.commands.at(-1),
        'conntrack -D -p tcp --orig-dst 169.254.169.254 --reply-src 172.31.250.2 --reply-port-src 80',
      );
    });

    it('leaves nothing to do, and cuts no connection later', async () => {
      await nat.redirect!(client, next, { flushFlows: false });

      assert.equal(await nat.apply(client, next), 'unchanged');
      assert.deepEqual(flowCommands(), []);
    });
  });

  describe('verify', () => {
    beforeEach(async () => {
      await nat.apply(client, proxyTarget);
    });

    it('holds when the serving proxy answered', async () => {
      await nat.verify(client, proxyTarget);
    });

    const outcomes: [outcome: ProbeOutcome, message: RegExp][] = [
      [{ status: 404, instanceId: '' }, /answered not by a proxy/],
      [{ status: 200, instanceId: 'old' }, /answered by another proxy/],
      [{ failure: 'ECONNREFUSED' }, /failed: ECONNREFUSED/],
    ];
    for (const [bad, message] of outcomes) {
      it(`fails when the outcome of a request is ${JSON.stringify(bad)}`, async () => {
        outcome = bad;

        responses['ip -4 -json route get 169.254.169.254'] = { stdout: '[{"dev":"eth0"}]' };

        await assert.rejects(nat.verify(client, proxyTarget), { code: 'MSI_WIRING_NOT_EFFECTIVE', message });
      });
    }

    it('takes one request, and no reading of rules that a request goes by', async () => {
      runner.forget();
      probes = 0;

      await nat.verify(client, proxyTarget);

      assert.equal(probes, 1);
      assert.deepEqual(runner.commands, []);
    });

    it('tells of the rule where a request fails for want of it', async () => {
      nft.dropRule('to the proxy');
      outcome = { status: 400, instanceId: '' };

      await assert.rejects(nat.verify(client, proxyTarget), { message: /the rule "to the proxy"/ });
    });

    it('tells of the route where a request fails for want of it', async () => {
      outcome = { failure: 'no way' };
      responses['ip -4 -json route get 169.254.169.254'] = {
        exitCode: 2,
        stderr: 'RTNETLINK answers: Network is unreachable\n',
      };

      await assert.rejects(nat.verify(client, proxyTarget), { message: /the route to IMDS is missing/ });
    });

    it("asks for no program of the monitor's inside a container, and looks at rules and route instead", async () => {
      programsFrom = 'container';
      probes = 0;
      responses['ip -4 -json route get 169.254.169.254'] = { stdout: '[{"dev":"eth0"}]' };

      assert.equal(await nat.apply(client, proxyTarget), 'unchanged');
      await nat.verify(client, proxyTarget);

      assert.equal(probes, 0);
      responses['ip -4 -json route get 169.254.169.254'] = {
        exitCode: 2,
        stderr: 'RTNETLINK answers: Network is unreachable\n',
      };
      await assert.rejects(nat.verify(client, proxyTarget), { message: /the route to IMDS is missing/ });
      nft.dropRule('to the proxy');
      await assert.rejects(nat.verify(client, proxyTarget), { message: /the rule "to the proxy"/ });
    });
  });

  describe('remove', () => {
    it('takes the table and the route away', async () => {
      await nat.apply(client, proxyTarget);

      await nat.remove(client);

      assert.equal(nft.exists, false);
      assert.equal(runner.commands.at(-1), 'ip -4 -json route delete 169.254.169.254/32 proto 77');
    });

    it('is content when nothing is there', async () => {
      responses['ip -4 -json route delete 169.254.169.254/32 proto 77'] = {
        exitCode: 2,
        stderr: 'RTNETLINK answers: No such process\n',
      };

      await nat.remove(client);

      assert.ok(!runner.commands.includes('nft -f -'));
    });

    it('is content when the container is gone', async () => {
      const enter = () => Promise.reject(new MsiProxyError('MSI_NAMESPACE_GONE', 'gone'));
      const wiring = createNatWiring({
        namespaces: { enter },
        probe: { ask: () => assert.fail(), prepare: () => assert.fail() },
        logger: silentLogger,
      });

      await wiring.remove(client);
    });
  });
});

/** As conntrack 1.4.7 lists it. */
function flow(state: string, answeredBy: string, port: number): string {
  return (
    `tcp      6 119 ${state} src=172.17.0.2 dst=169.254.169.254 sport=45678 dport=80 ` +
    `src=${answeredBy} dst=172.17.0.2 sport=${port} dport=45678 [ASSURED] mark=0 use=1`
  );
}
