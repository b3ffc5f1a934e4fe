import assert from 'node:assert/strict';
import { silentLogger } from '@msi-proxy/shared';
import { FakeClock, settle } from '@msi-proxy/shared/testing';
import { RuleKeeper } from '../../../src/reconcile/rule-keeper.ts';
import type { ProxyTarget } from '../../../src/wiring/wiring-method.ts';
import { FakeVmRules } from '../../support/fake-rules.ts';

const BRIDGE = { interfaceName: 'msi-proxy0', gateway: '172.31.250.1' };
const A = '172.31.250.2';
const B = '172.31.250.3';
const LULL_MILLIS = 300;

describe('the keeper of the rules', () => {
  let clock: FakeClock;
  let rules: FakeVmRules;
  let keeper: RuleKeeper;

  beforeEach(async () => {
    clock = new FakeClock();
    rules = new FakeVmRules();
    keeper = new RuleKeeper({
      rules,
      clock,
      logger: silentLogger,
      random: () => 0.5,
      guard: 'enforce',
      redirect: true,
      onStopped: () => undefined,
      onRepair: () => undefined,
    });
    await keeper.start();
    keeper.setProxies(BRIDGE, [A, B]);
    await settle();
    await keeper.switchTarget(targetAt(A), [A, B]);
    rules.log.length = 0;
  });

  afterEach(async () => {
    await keeper.stop();
    assert.equal(clock.pendingTimers, 0, 'a timer was leaked');
  });

  function targetAt(address: string): ProxyTarget {
    return { containerId: address, instanceId: address, address, port: 80, addressesByNetwork: {} };
  }

  it('lets a new proxy through before clients are sent to it', async () => {
    keeper.setProxies(BRIDGE, [A, B, '172.31.250.4']);
    await keeper.switchTarget(targetAt('172.31.250.4'), [A, B]);
    assert.deepEqual(rules.log.slice(0, 2), ['set proxies', 'switch']);
    assert.deepEqual(rules.wanted?.proxyAddresses, [A, B, '172.31.250.4']);
  });

  it('takes the way to IMDS from the address of a dead proxy at once', async () => {
    await keeper.switchTarget(targetAt(B), []);
    keeper.setProxies(BRIDGE, [B]);
    await settle();
    assert.deepEqual(rules.log, ['switch', 'set proxies']);
    assert.deepEqual(rules.wanted?.proxyAddresses, [B]);
  });

  it('looks at nothing for a moment after a proxy has died, when clients need the processor', async () => {
    await keeper.switchTarget(targetAt(B), []);
    rules.differences = ['somebody changed something'];
    keeper.check();
    await clock.advance(LULL_MILLIS - 1);
    assert.equal(keeper.status.repairs, 0);
    await clock.advance(1);
    assert.equal(keeper.status.repairs, 1);
  });

  it('looks at once after a planned switch', async () => {
    await keeper.switchTarget(targetAt(B), [A, B]);
    rules.differences = ['somebody changed something'];
    keeper.check();
    await settle();
    assert.equal(keeper.status.repairs, 1);
  });

  it('makes the rules anew when the proxies could not be set', async () => {
    rules.problem = new Error('busy');
    keeper.setProxies(BRIDGE, [B]);
    await settle();
    rules.problem = undefined;
    await clock.advance(1_000);
    assert.ok(rules.log.includes('ensure'));
    assert.deepEqual(rules.wanted?.proxyAddresses, [B]);
    assert.equal(keeper.status.state, 'in-place');
  });

  it('sends clients to the new proxy when the rules can be made again, after they could not at the switch', async () => {
    rules.problem = new Error('busy');
    keeper.setStandIn({ address: BRIDGE.gateway, port: 80 });
    await keeper.switchTarget(targetAt(B), []);
    rules.problem = undefined;
    await clock.advance(1_000);
    assert.equal(rules.target?.address, B);
  });

  it('does not go back to a proxy that was left while its switch failed', async () => {
    const ensuring = Promise.withResolvers<undefined>();
    rules.ensuring = ensuring.promise;
    rules.problem = new Error('busy');
    keeper.setStandIn({ address: BRIDGE.gateway, port: 80 });
    const first = keeper.switchTarget(targetAt(B), []);
    await keeper.switchTarget(undefined, []);
    ensuring.resolve(undefined);
    await first;
    rules.problem = undefined;
    await clock.advance(1_000);
    assert.equal(rules.target, undefined);
  });

  it('sends clients where they were to go last, also while it could not send them where they were to go first', async () => {
    const ensuring = Promise.withResolvers<undefined>();
    rules.ensuring = ensuring.promise;
    keeper.setStandIn({ address: BRIDGE.gateway, port: 80 });
    const first = keeper.switchTarget(targetAt(B), []);
    await keeper.switchTarget(undefined, [B]);
    ensuring.resolve(undefined);
    await first;
    // A has died before the second one.
    assert.deepEqual(rules.switches.slice(1), [{ address: undefined, flushFlows: true }]);
  });

  it('ends in the midst of that moment', async () => {
    await keeper.switchTarget(targetAt(B), []);
    keeper.check();
    await settle();
    await keeper.stop();
  });
});
