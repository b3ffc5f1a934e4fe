import assert from 'node:assert/strict';
import { type CommandResult, type CommandRunner, type Logger, silentLogger } from '@msi-proxy/shared';
import { FakeClock, settle } from '@msi-proxy/shared/testing';
import { createVmRules } from '../../../src/guard/nft-vm-rules.ts';
import type { VmRules, VmRulesWanted } from '../../../src/guard/vm-rules.ts';
import { fakeCommandRunner, notInstalled, type FakeCommandRunner } from '../support/fake-command-runner.ts';
import { FakeNft } from '../support/fake-nft.ts';
import { FakePolicyRules } from '../support/fake-policy-rules.ts';

const A = { address: '172.31.250.2', port: 80 };
const B = { address: '172.31.250.3', port: 80 };
const wanted: VmRulesWanted = {
  guard: 'enforce',
  redirect: true,
  proxyBridge: { interfaceName: 'br-msi' },
  target: A,
};

describe('createVmRules', () => {
  let nft: FakeNft;
  let routing: FakePolicyRules;
  let responses: Record<string, Partial<CommandResult> | Error>;
  let onCommand: (command: string) => void;
  let runner: FakeCommandRunner;
  let warnings: string[];
  let clock: FakeClock;
  let rules: VmRules;

  beforeEach(() => {
    nft = new FakeNft();
    routing = new FakePolicyRules();
    responses = {};
    warnings = [];
    onCommand = () => undefined;
    runner = fakeCommandRunner((command, stdin) => {
      onCommand(command);
      return (
        responses[command.split(' ')[0]!] ?? nft.respond(command, stdin) ?? routing.respond(command, stdin)
      );
    });
    const logger: Logger = { ...silentLogger, warn: message => warnings.push(message) };
    clock = new FakeClock();
    rules = createVmRules({ runner, logger, clock });
  });

  function flushes(): string[] {
    return runner.commands.filter(command => command.startsWith('conntrack'));
  }

  describe('ensure', () => {
    it('loads the table once, and reads only from then on', async () => {
      assert.equal(await rules.ensure(wanted), 'applied');
      assert.equal(await rules.ensure(wanted), 'unchanged');

      assert.equal(runner.commands.filter(command => command === 'nft -f -').length, 1);
    });

    it('changes the map only, when only the target differs', async () => {
      await rules.ensure(wanted);

      assert.equal(await rules.ensure({ ...wanted, target: B }), 'repaired');

      const last = runner.commands.lastIndexOf('nft -f -');
      assert.equal(
        runner.inputs[last],
        'flush map ip msi_proxy target\nadd element ip msi_proxy target { 80 : 172.31.250.3 . 80 }\n',
      );
      assert.deepEqual(flushes(), [
        'conntrack -D -p tcp --orig-dst 169.254.169.254 --reply-src 172.31.250.2',
      ]);
    });

    it('takes the table away when nothing is wanted any more', async () => {
      await rules.ensure(wanted);

      await rules.ensure({ guard: 'off', redirect: false });

      assert.equal(nft.exists, false);
      assert.equal(await rules.ensure({ guard: 'off', redirect: false }), 'unchanged');
    });

    it('fails when what it loaded is changed at once by another program', async () => {
      const meddled = fakeCommandRunner((command, stdin) => {
        const result = nft.respond(command, stdin);
        nft.dropRule('WireServer');
        return result;
      });

      await assert.rejects(createVmRules({ runner: meddled, logger: silentLogger }).ensure(wanted), {
        code: 'MSI_WIRING_NOT_EFFECTIVE',
      });
    });

    it('has the guard in place when the rule in DOCKER-USER fails', async () => {
      responses['iptables-save'] = { exitCode: 1, stderr: 'broken' };

      await assert.rejects(rules.ensure(wanted), { code: 'MSI_WIRING_COMMAND' });

      assert.equal(nft.exists, true);
    });

    it('guards without the barrier where there is none, says why, and tries again', async () => {
      responses['ip'] = notInstalled('ip');
      assert.equal(await rules.ensure(wanted), 'applied');
      assert.deepEqual(rules.barrier, { state: 'unavailable', reason: 'The program ip is not installed' });
      assert.deepEqual(await rules.drift(), []);

      responses = {};

      assert.notDeepEqual(await rules.drift(), []);
      await rules.ensure(wanted);
      assert.deepEqual(rules.barrier, { state: 'in-place' });
    });

    it('wants no barrier in audit mode', async () => {
      await rules.ensure({ ...wanted, guard: 'audit' });

      assert.equal(rules.barrier, undefined);
      assert.deepEqual(routing.lines, []);
    });

    it('names the missing right', async () => {
      responses['nft'] = {
        exitCode: 1,
        stderr: 'Operation not permitted (you must be root)\nnetlink: Error: cache initialization failed',
      };

      await assert.rejects(rules.ensure(wanted), {
        code: 'MSI_WIRING_NO_CAPABILITY',
        message: /NET_ADMIN/,
      });
    });

    it('names the missing program', async () => {
      responses['nft'] = notInstalled('nft');

      await assert.rejects(rules.ensure(wanted), {
        code: 'MSI_WIRING_NO_CAPABILITY',
        message: /program nft is not installed/,
      });
    });

    it('goes on after a failure', async () => {
      responses['nft'] = { exitCode: 1, stderr: 'Error: Device or resource busy' };
      await assert.rejects(rules.ensure(wanted), { code: 'MSI_WIRING_COMMAND' });

      responses = {};

      assert.equal(await rules.ensure(wanted), 'applied');
    });
  });

  describe('switchTarget', () => {
    beforeEach(async () => {
      await rules.ensure(wanted);
    });

    it('leaves flows to a draining proxy alone', async () => {
      await rules.switchTarget(B, [A.address, B.address]);

      assert.deepEqual(nft.elements, ['80 : 172.31.250.3 . 80']);
      assert.deepEqual(flushes(), []);
      assert.deepEqual(rules.target, B);
      assert.deepEqual(await rules.drift(), []);
    });

    it('forgets the flows to a dead proxy', async () => {
      responses['conntrack'] = {
        exitCode: 1,
        stderr: 'conntrack v1.4.7 (conntrack-tools): 0 flow entries have been deleted.',
      };

      await rules.switchTarget(undefined, []);

      assert.deepEqual(nft.elements, []);
      assert.equal(rules.target, undefined);
      await clock.advance(150);
      assert.equal(flushes().length, 1);
    });

    it('forgets them when the first clients of the next one are served, and before it is left for another one', async () => {
      await rules.switchTarget(B, []);
      assert.deepEqual(flushes(), []);
      await clock.advance(149);
      assert.deepEqual(flushes(), []);
      let isBack = false;
      const back = rules.switchTarget(A, [A.address, B.address]).then(() => (isBack = true));
      await settle();
      assert.equal(isBack, false);

      await clock.advance(1);
      await back;
      assert.deepEqual(flushes(), [
        'conntrack -D -p tcp --orig-dst 169.254.169.254 --reply-src 172.31.250.2',
      ]);
    });

    it('keeps the flows to a proxy that goes on serving, as when a monitor is replaced', async () => {
      await rules.switchTarget(A, []);

      assert.deepEqual(nft.elements, ['80 : 172.31.250.2 . 80']);
      assert.deepEqual(flushes(), []);
    });

    it('changes nothing else', async () => {
      await rules.ensure({ ...wanted, proxyAddresses: [A.address, B.address] });

      await rules.switchTarget(B, [A.address, B.address]);

      assert.deepEqual(await rules.drift(), []);
      assert.equal(
        await rules.ensure({ ...wanted, proxyAddresses: [A.address, B.address], target: B }),
        'unchanged',
      );
    });

    it('warns where flows cannot be forgotten', async () => {
      responses['conntrack'] = notInstalled('conntrack');

      await rules.switchTarget(B, []);
      await clock.advance(150);

      assert.deepEqual(nft.elements, ['80 : 172.31.250.3 . 80']);
      assert.equal(warnings.length, 1);
    });

    it('is refused before there are rules', async () => {
      const fresh = createVmRules({ runner, logger: silentLogger });

      await assert.rejects(fresh.switchTarget(B, [A.address, B.address]), { code: 'MSI_INTERNAL' });
    });

    it('does not wait for rules that are being made anew', async () => {
      let isMade = false;
      const ensured = rules.ensure(wanted).then(() => (isMade = true));

      await rules.switchTarget(B, [A.address, B.address]);

      assert.equal(isMade, false);
      assert.deepEqual(nft.elements, ['80 : 172.31.250.3 . 80']);
      await ensured;
    });

    it('waits for the first rules', async () => {
      const fresh = createVmRules({ runner, logger: silentLogger });
      const ensured = fresh.ensure(wanted);
      await Promise.all([ensured, fresh.switchTarget(B, [A.address, B.address])]);

      assert.deepEqual(nft.elements, ['80 : 172.31.250.3 . 80']);
      assert.deepEqual(fresh.target, B);
    });

    for (const moment of ['list', '-f']) {
      it(`is not undone by rules that were being made anew (nft ${moment})`, async () => {
        let switched: Promise<void> | undefined;
        onCommand = command => {
          if (command.includes(moment)) switched ??= rules.switchTarget(B, [A.address, B.address]);
        };

        await rules.ensure({ ...wanted, proxyAddresses: [A.address, B.address] });
        assert.ok(switched);
        await switched;

        assert.deepEqual(nft.elements, ['80 : 172.31.250.3 . 80']);
        assert.deepEqual(rules.target, B);
        assert.deepEqual(await rules.drift(), []);
      });
    }
  });

  describe('setProxies', () => {
    const addresses = [A.address, B.address];

    beforeEach(async () => {
      await rules.ensure({ ...wanted, proxyAddresses: [A.address] });
    });

    it('lets exactly these through, in the packet rules and in the routing', async () => {
      await rules.setProxies(addresses);

      assert.match(nft.ruleText('proxies at IMDS'), /ip saddr \{ 172\.31\.250\.2, 172\.31\.250\.3 \}/);
      assert.equal(routing.rules.filter(rule => rule.startsWith('priority 42 ')).length, 2);
      await rules.setProxies([B.address]);
      assert.match(nft.ruleText('proxies at IMDS'), /ip saddr \{ 172\.31\.250\.3 \}/);
      assert.deepEqual(
        routing.rules.filter(rule => rule.startsWith('priority 42 ')).map(rule => rule.includes(B.address)),
        [true],
      );
    });

    it('leaves what ensure would make, so that nothing has to be mended', async () => {
      await rules.setProxies(addresses);

      assert.deepEqual(await rules.drift(), []);
      assert.equal(await rules.ensure({ ...wanted, proxyAddresses: addresses }), 'unchanged');
    });

    it('starts few programs, and fewer when the same proxies come back', async () => {
      const count = async (work: () => Promise<unknown>) => {
        const before = runner.commands.length;
        await work();
        return runner.commands.length - before;
      };
      assert.equal(await count(() => rules.setProxies(addresses)), 3);
      assert.equal(await count(() => rules.setProxies([A.address])), 2);
      assert.equal(await count(() => rules.setProxies(addresses)), 2);
    });

    it('does not undo a switch that happens meanwhile', async () => {
      let switched: Promise<void> | undefined;
      onCommand = command => {
        if (command === 'nft -f -') switched ??= rules.switchTarget(B, [A.address, B.address]);
      };

      await rules.setProxies(addresses);
      await switched;

      assert.deepEqual(nft.elements, ['80 : 172.31.250.3 . 80']);
      assert.deepEqual(await rules.drift(), []);
    });

    it('does not undo one of two that happen meanwhile', async () => {
      const all = [A.address, B.address];
      let loads: number | undefined;
      const slow: CommandRunner = {
        run: async (file, argv, options) => {
          if (loads !== undefined && file === 'nft' && argv[0] === '-f') {
            loads += 1;
            // One comes while the proxies are set, the other one overtakes what makes the first one good.
            if (loads === 1) await slowRules.switchTarget(B, all);
            if (loads === 3) await slowRules.switchTarget(undefined, all);
          }
          return await runner.run(file, argv, options);
        },
      };
      const slowRules = createVmRules({ runner: slow, logger: silentLogger, clock });
      await slowRules.ensure(wanted);
      loads = 0;

      await slowRules.setProxies(addresses);

      assert.deepEqual(nft.elements, []);
      assert.deepEqual(await slowRules.drift(), []);
    });

    it('fails when the rules cannot be read back, and ensure makes them anew', async () => {
      responses = { nft: { exitCode: 1, stderr: 'busy' } };
      await assert.rejects(rules.setProxies(addresses), { code: 'MSI_WIRING_COMMAND' });

      responses = {};
      await rules.ensure({ ...wanted, proxyAddresses: addresses });
      assert.deepEqual(await rules.drift(), []);
    });

    it('is refused before there are rules', async () => {
      const fresh = createVmRules({ runner, logger: silentLogger });

      await assert.rejects(fresh.setProxies(addresses), { code: 'MSI_INTERNAL' });
    });
  });

  describe('with a stand-in', () => {
    const standIn = { address: '172.31.250.1', port: 9181 };
    const lent = [{ port: 20_000, address: '172.17.0.2' }];

    beforeEach(async () => {
      await rules.ensure({ ...wanted, standIn });
    });

    it('sends requests there when there is no proxy, and does not call it one', async () => {
      await rules.switchTarget(undefined, [A.address, B.address]);

      assert.deepEqual(nft.elements, ['80 : 172.31.250.1 . 9181']);
      assert.equal(rules.target, undefined);
      assert.deepEqual(await rules.drift(), []);
    });

    it('never forgets the flows to it', async () => {
      await rules.switchTarget(undefined, [A.address, B.address]);

      await rules.switchTarget(B, []);
      await rules.switchTarget(undefined, [A.address, B.address]);
      await rules.ensure({ ...wanted, standIn, target: B });

      assert.deepEqual(flushes(), []);
    });

    it('lends addresses while connections are opened, and no longer', async () => {
      const seen: unknown[] = [];

      await rules.lendSources(lent, async () => {
        await Promise.resolve();
        seen.push(...nft.elements);
      });

      assert.deepEqual(seen, ['80 : 172.31.250.2 . 80', '20000 : 172.17.0.2']);
      assert.deepEqual(nft.elements, ['80 : 172.31.250.2 . 80']);
    });

    it('takes them back when connecting fails', async () => {
      await assert.rejects(
        rules.lendSources(lent, () => Promise.reject(new Error('no'))),
        /no/,
      );

      assert.deepEqual(nft.elements, ['80 : 172.31.250.2 . 80']);
    });
  });

  it('lends no addresses without a stand-in', async () => {
    await rules.ensure(wanted);

    await assert.rejects(
      rules.lendSources([], () => Promise.resolve()),
      { code: 'MSI_INTERNAL' },
    );
  });

  describe('drift', () => {
    it('tells which rule is gone', async () => {
      await rules.ensure(wanted);
      nft.dropRule('WireServer');

      assert.deepEqual(await rules.drift(), [
        'the rule "WireServer" of chain guard is missing or was changed',
      ]);
    });

    it('reads once for all who ask at the same time', async () => {
      await rules.ensure(wanted);
      const before = runner.commands.length;

      await Promise.all([rules.drift(), rules.drift(), rules.drift()]);

      assert.equal(runner.commands.slice(before).filter(command => command.startsWith('nft -j')).length, 1);
    });

    it('is not taken from a look at half a switch', async () => {
      await rules.ensure(wanted);

      const [, differences] = await Promise.all([
        rules.switchTarget(B, [A.address, B.address]),
        rules.drift(),
      ]);

      assert.deepEqual(differences, []);
    });

    it('is looked for again when the target was switched during the look', async () => {
      await rules.ensure(wanted);
      let switched: Promise<void> | undefined;
      onCommand = command => {
        if (command.includes('list')) switched ??= rules.switchTarget(B, [A.address, B.address]);
      };

      assert.deepEqual(await rules.drift(), []);
      await switched;
    });

    it('is not left by a switch while the first map was made', async () => {
      await rules.ensure({ guard: 'enforce', redirect: true });
      let switched: Promise<void> | undefined;
      onCommand = command => {
        if (command === 'iptables-save') switched ??= rules.switchTarget(B, [A.address, B.address]);
      };

      const { target, ...waiting } = wanted;
      assert.equal(target, A);
      await rules.ensure({ ...waiting, standIn: { address: '172.31.250.1', port: 9181 } });
      await switched;

      assert.deepEqual(rules.target, B);
      assert.deepEqual(await rules.drift(), []);
    });

    describe('in the chains of Docker', () => {
      const OURS =
        '-m conntrack --ctstate DNAT --ctorigdst 169.254.169.254 -m comment --comment msi-proxy -j ACCEPT';
      const jumps = {
        isolation: '-A FORWARD -j DOCKER-ISOLATION-STAGE-1',
        users: '-A FORWARD -j DOCKER-USER',
      };
      const filter = (...forward: string[]) => ({
        stdout: ['*filter', ':DOCKER-USER - [0:0]', `-A DOCKER-USER ${OURS}`, ...forward, 'COMMIT', ''].join(
          '\n',
        ),
      });

      beforeEach(async () => {
        responses['iptables-save'] = filter(jumps.users, jumps.isolation);
        await rules.ensure(wanted);
      });

      it('is not taken from a moment in which Docker puts them in order', async () => {
        responses['iptables-save'] = filter(jumps.isolation, jumps.users);
        const told = rules.drift();
        await settle();
        responses['iptables-save'] = filter(jumps.users, jumps.isolation);
        await clock.advance(100);

        assert.deepEqual(await told, []);
      });

      it('is told when that order stays', async () => {
        responses['iptables-save'] = filter(jumps.isolation, jumps.users);
        const told = rules.drift();
        for (let look = 0; look < 10; look += 1) {
          await settle();
          await clock.advance(100);
        }

        assert.deepEqual(await told, ['FORWARD: the rule "msi-proxy" is missing']);
      });

      it('is told at once when something of the guard is gone too', async () => {
        responses['iptables-save'] = filter(jumps.isolation, jumps.users);
        nft.dropRule('WireServer');

        assert.equal((await rules.drift()).length, 2);
      });

      it('lets changes through while it waits', async () => {
        responses['iptables-save'] = filter(jumps.isolation, jumps.users);
        const told = rules.drift();
        await settle();

        await rules.setProxies(['172.31.250.2']);

        responses['iptables-save'] = filter(jumps.users, jumps.isolation);
        await clock.advance(100);
        assert.deepEqual(await told, []);
      });
    });

    it('reads anew for who asks later', async () => {
      await rules.ensure(wanted);
      await rules.drift();
      nft.dropRule('WireServer');

      assert.equal((await rules.drift()).length, 1);
    });
  });

  describe('remove', () => {
    it('is content when there is nothing', async () => {
      await rules.remove();

      assert.ok(!runner.commands.includes('nft -f -'));
    });
  });
});
