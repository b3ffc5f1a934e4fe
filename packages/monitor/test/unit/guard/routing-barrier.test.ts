import assert from 'node:assert/strict';
import { type CommandResult, type Logger, MsiProxyError, silentLogger } from '@msi-proxy/shared';
import { RoutingBarrier } from '../../../src/guard/routing-barrier.ts';
import type { VmRulesWanted } from '../../../src/guard/vm-rules.ts';
import { fakeCommandRunner, notInstalled } from '../support/fake-command-runner.ts';
import { FakePolicyRules } from '../support/fake-policy-rules.ts';

const wanted: VmRulesWanted = {
  guard: 'enforce',
  redirect: true,
  proxyBridge: { interfaceName: 'br-msi' },
  proxyAddresses: ['172.31.250.2'],
};

function commandTimedOut(): MsiProxyError {
  return new MsiProxyError('MSI_WIRING_COMMAND', 'ip did not end within 10000 ms');
}

describe('RoutingBarrier', () => {
  let kernel: FakePolicyRules;
  let response: Partial<CommandResult> | Error | undefined;
  let warnings: string[];
  let barrier: RoutingBarrier;

  beforeEach(() => {
    kernel = new FakePolicyRules();
    response = undefined;
    warnings = [];
    const logger: Logger = { ...silentLogger, warn: message => warnings.push(message) };
    const runner = fakeCommandRunner((command, stdin) => response ?? kernel.respond(command, stdin));
    barrier = new RoutingBarrier({ runner, logger });
  });

  it('opens the ways before it stops anything, and takes down what stops first', async () => {
    assert.equal(await barrier.ensure(wanted), 'applied');
    assert.equal(await barrier.remove(), true);

    assert.deepEqual(kernel.lines, [
      'rule add priority 49 nop protocol 169',
      'rule add priority 40 to 169.254.169.254 iif lo goto 49 protocol 169',
      'rule add priority 40 to 168.63.129.16 iif lo goto 49 protocol 169',
      'rule add priority 41 to 169.254.169.254 fwmark 0x4d534931 goto 49 protocol 169',
      'rule add priority 41 to 168.63.129.16 fwmark 0x4d534931 goto 49 protocol 169',
      'rule add priority 42 from 172.31.250.2 to 169.254.169.254 iif br-msi goto 49 protocol 169',
      'rule add priority 43 to 169.254.169.254 blackhole protocol 169',
      'rule add priority 44 to 168.63.129.16 ipproto tcp dport 80 prohibit protocol 169',
      'rule add priority 44 to 168.63.129.16 ipproto tcp dport 32526 prohibit protocol 169',
      'rule delete priority 44 to 168.63.129.16 ipproto tcp dport 80 prohibit protocol 169',
      'rule delete priority 44 to 168.63.129.16 ipproto tcp dport 32526 prohibit protocol 169',
      'rule delete priority 43 to 169.254.169.254 blackhole protocol 169',
      'rule delete priority 42 from 172.31.250.2 to 169.254.169.254 iif br-msi goto 49 protocol 169',
      'rule delete priority 41 to 169.254.169.254 fwmark 0x4d534931 goto 49 protocol 169',
      'rule delete priority 41 to 168.63.129.16 fwmark 0x4d534931 goto 49 protocol 169',
      'rule delete priority 40 to 169.254.169.254 iif lo goto 49 protocol 169',
      'rule delete priority 40 to 168.63.129.16 iif lo goto 49 protocol 169',
      'rule delete priority 49 nop protocol 169',
    ]);
    assert.deepEqual(kernel.rules, []);
  });

  it('changes nothing when nothing differs', async () => {
    await barrier.ensure(wanted);
    const { length } = kernel.lines;

    assert.equal(await barrier.ensure(wanted), 'unchanged');

    assert.equal(kernel.lines.length, length);
    assert.deepEqual(await barrier.differences(wanted), []);
  });

  it('lets the new proxy through before the old one is kept out', async () => {
    await barrier.ensure(wanted);
    const { length } = kernel.lines;

    await barrier.ensure({ ...wanted, proxyAddresses: ['172.31.250.3'] });

    assert.deepEqual(kernel.lines.slice(length), [
      'rule add priority 42 from 172.31.250.3 to 169.254.169.254 iif br-msi goto 49 protocol 169',
      'rule delete priority 42 from 172.31.250.2 to 169.254.169.254 iif br-msi goto 49 protocol 169',
    ]);
  });

  it('keeps the way of proxies while they are not known', async () => {
    await barrier.ensure(wanted);

    assert.equal(await barrier.ensure({ guard: 'enforce', redirect: true }), 'unchanged');
  });

  it('takes itself away where nobody is to be stopped, and what others have stays', async () => {
    kernel.rules.push('priority 43 to 192.0.2.1 blackhole protocol boot', 'priority 60 nop protocol 169');
    await barrier.ensure(wanted);

    await barrier.ensure({ ...wanted, guard: 'audit' });

    assert.deepEqual(kernel.rules, [
      'priority 43 to 192.0.2.1 blackhole protocol boot',
      'priority 60 nop protocol 169',
    ]);
  });

  it('leaves nothing in a kernel that leaves out what it does not know of a rule, and says so', async () => {
    kernel.isOld = true;

    assert.equal(await barrier.ensure(wanted), 'unchanged');

    assert.deepEqual(kernel.rules, []);
    assert.match(barrier.problem ?? '', /kernel is too old/);
  });

  it('says once why there is none, and is content that there is nothing to remove', async () => {
    response = notInstalled('ip');

    await barrier.ensure(wanted);
    await barrier.ensure(wanted);

    assert.match(barrier.problem ?? '', /program ip is not installed/);
    assert.equal(warnings.length, 1);
    assert.deepEqual(await barrier.differences(wanted), []);
    assert.equal(await barrier.remove(), false);
    response = undefined;
    await barrier.ensure(wanted);
    assert.equal(barrier.problem, undefined);
  });

  it('is there again after a look that failed, when the next one finds all of it', async () => {
    await barrier.ensure(wanted);
    response = commandTimedOut();
    assert.deepEqual(await barrier.differences(wanted), []);
    assert.match(barrier.problem ?? '', /did not end/);
    response = undefined;

    assert.deepEqual(await barrier.differences(wanted), []);

    assert.equal(barrier.problem, undefined);
  });

  it('lets a new proxy through also after a look that failed', async () => {
    await barrier.ensure(wanted);
    response = commandTimedOut();
    await barrier.differences(wanted);
    response = undefined;

    await barrier.change(wanted, { ...wanted, proxyAddresses: ['172.31.250.3'] });

    assert.deepEqual(
      kernel.rules.filter(rule => rule.startsWith('priority 42')),
      ['priority 42 from 172.31.250.3 to 169.254.169.254 iif br-msi goto 49 protocol 169'],
    );
    assert.equal(barrier.problem, undefined);
  });

  it('is not in the way of new proxies where it cannot be', async () => {
    response = notInstalled('ip');
    await barrier.ensure(wanted);

    await barrier.change(wanted, { ...wanted, proxyAddresses: ['172.31.250.3'] });

    assert.match(barrier.problem ?? '', /program ip is not installed/);
    assert.equal(warnings.length, 1);
  });

  it('refuses a name of a bridge that is more than a name', async () => {
    await barrier.ensure({ ...wanted, proxyBridge: { interfaceName: 'br msi' } });

    assert.match(barrier.problem ?? '', /bridge of the proxy network/);
    assert.deepEqual(kernel.lines, []);
  });
});
