import assert from 'node:assert/strict';
import { type CommandResult, silentLogger } from '@msi-proxy/shared';
import { DockerUserRule } from '../../../src/guard/docker-user-rule.ts';
import { fakeCommandRunner, notInstalled, type FakeCommandRunner } from '../support/fake-command-runner.ts';

const OURS =
  '-m conntrack --ctstate DNAT --ctorigdst 169.254.169.254 -m comment --comment msi-proxy -j ACCEPT';

function saved(...rules: readonly string[]): Partial<CommandResult> {
  const lines = rules.map(rule => `-A DOCKER-USER ${rule}`);
  const stdout = ['*filter', ':DOCKER-USER - [0:0]', ...lines, 'COMMIT', ''].join('\n');
  return { stdout };
}

function runnerWith(...rules: readonly string[]): FakeCommandRunner {
  return fakeCommandRunner(command => (command === 'iptables-save' ? saved(...rules) : undefined));
}

function ruleIn(runner: FakeCommandRunner): DockerUserRule {
  return new DockerUserRule({ runner, logger: silentLogger });
}

describe('The rule in DOCKER-USER', () => {
  it('is inserted at the top', async () => {
    const runner = runnerWith('-j RETURN');

    assert.equal(await ruleIn(runner).ensure(), 'applied');

    assert.equal(runner.commands.at(-1), 'iptables-restore --noflush --wait 5');
    assert.equal(runner.inputs.at(-1), `*filter\n-I DOCKER-USER 1 ${OURS}\nCOMMIT\n`);
  });

  const asWanted = [
    OURS,
    OURS.replace('169.254.169.254', '169.254.169.254/32').replace('msi-proxy', '"msi-proxy"'),
    '-m comment --comment msi-proxy -m conntrack --ctorigdst 169.254.169.254 --ctstate DNAT -j ACCEPT',
  ];
  for (const [form, rule] of asWanted.entries()) {
    it(`is left alone where it is first (form ${form + 1} of iptables)`, async () => {
      const runner = runnerWith(rule, '-j RETURN');

      assert.equal(await ruleIn(runner).ensure(), 'unchanged');
      assert.deepEqual(runner.commands, ['iptables-save']);
    });
  }

  it('moves to the top in one transaction, without its doubles', async () => {
    const runner = runnerWith('-j RETURN', OURS, OURS);

    assert.equal(await ruleIn(runner).ensure(), 'repaired');

    assert.equal(
      runner.inputs.at(-1),
      ['*filter', `-D DOCKER-USER ${OURS}`, `-D DOCKER-USER ${OURS}`, `-I DOCKER-USER 1 ${OURS}`]
        .concat('COMMIT', '')
        .join('\n'),
    );
  });

  it('is replaced when somebody changed it', async () => {
    const changed = OURS.replace('ACCEPT', 'DROP');
    const runner = runnerWith(changed);

    assert.deepEqual(await ruleIn(runner).differences(), ['DOCKER-USER: the rule "msi-proxy" was changed']);
    await ruleIn(runner).ensure();
    assert.match(runner.inputs.at(-1)!, /-D DOCKER-USER .* -j DROP\n-I DOCKER-USER/);
  });

  describe('where Docker put its isolation before its chain for users', () => {
    const runnerWithForward = (...forward: readonly string[]) =>
      fakeCommandRunner(command => {
        if (command !== 'iptables-save') return undefined;
        const lines = [`-A DOCKER-USER ${OURS}`, ...forward.map(rule => `-A FORWARD ${rule}`)];
        return { stdout: ['*filter', ':DOCKER-USER - [0:0]', ...lines, 'COMMIT', ''].join('\n') };
      });

    it('is at the top of FORWARD too', async () => {
      const runner = runnerWithForward('-j DOCKER-ISOLATION-STAGE-1', '-j DOCKER-USER');

      assert.deepEqual(await ruleIn(runner).differences(), ['FORWARD: the rule "msi-proxy" is missing']);
      assert.equal(await ruleIn(runner).ensure(), 'repaired');

      assert.equal(runner.inputs.at(-1), `*filter\n-I FORWARD 1 ${OURS}\nCOMMIT\n`);
    });

    it('is left alone there', async () => {
      const runner = runnerWithForward(OURS, '-j DOCKER-ISOLATION-STAGE-1', '-j DOCKER-USER');

      assert.equal(await ruleIn(runner).ensure(), 'unchanged');
    });

    it('leaves FORWARD again when Docker has mended the order', async () => {
      const runner = runnerWithForward(OURS, '-j DOCKER-USER', '-j DOCKER-ISOLATION-STAGE-1');

      assert.deepEqual(await ruleIn(runner).differences(), [], 'it does no harm until then');
      assert.equal(await ruleIn(runner).ensure(), 'repaired');

      assert.equal(runner.inputs.at(-1), `*filter\n-D FORWARD ${OURS}\nCOMMIT\n`);
    });

    it('is removed from both chains', async () => {
      const runner = runnerWithForward(OURS, '-j DOCKER-ISOLATION-STAGE-1');

      assert.equal(await ruleIn(runner).remove(), true);

      assert.equal(runner.inputs.at(-1), `*filter\n-D DOCKER-USER ${OURS}\n-D FORWARD ${OURS}\nCOMMIT\n`);
    });
  });

  it("does not take another's rule for ours", async () => {
    const runner = runnerWith('-m comment --comment not-msi-proxy -j ACCEPT');

    assert.equal(await ruleIn(runner).remove(), false);
    assert.deepEqual(runner.commands, ['iptables-save']);
  });

  it('is skipped where there is no such chain', async () => {
    const runner = fakeCommandRunner();

    assert.equal(await ruleIn(runner).ensure(), 'unchanged');
    assert.deepEqual(await ruleIn(runner).differences(), []);
    assert.ok(!runner.commands.some(command => command.includes('restore')));
  });

  it('is put where Docker has its chain, when programs of both backends are there', async () => {
    const runner = fakeCommandRunner(command =>
      command === 'iptables-legacy-save' ? saved('-j RETURN') : undefined,
    );

    await ruleIn(runner).ensure();

    assert.match(runner.commands.at(-1)!, /^iptables-legacy-restore /);
  });

  it('needs one of the programs', async () => {
    const runner = fakeCommandRunner(command => notInstalled(command));

    await assert.rejects(ruleIn(runner).ensure(), {
      code: 'MSI_WIRING_NO_CAPABILITY',
      message: /iptables is not installed/,
    });
  });

  it('tells a missing right from other failures', async () => {
    const refused = fakeCommandRunner(() => ({
      exitCode: 4,
      stderr: 'Could not fetch rule set generation id: Permission denied (you must be root)',
    }));
    const locked = fakeCommandRunner(command =>
      command.includes('restore')
        ? { exitCode: 4, stderr: 'Another app is currently holding the xtables lock.' }
        : saved(),
    );

    await assert.rejects(ruleIn(refused).ensure(), { code: 'MSI_WIRING_NO_CAPABILITY' });
    await assert.rejects(ruleIn(locked).ensure(), {
      code: 'MSI_WIRING_COMMAND',
      details: {
        command: 'iptables-restore',
        exitCode: 4,
        stderr: 'Another app is currently holding the xtables lock.',
      },
    });
  });
});
