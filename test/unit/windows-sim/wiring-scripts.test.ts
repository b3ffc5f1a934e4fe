import assert from 'node:assert/strict';
import { parseReport } from '../../../packages/monitor/src/wiring/portproxy/powershell-report.ts';
import {
  applyScript,
  powershellArgv,
  removeScript,
} from '../../../packages/monitor/src/wiring/portproxy/powershell-script.ts';
import type { Observation } from '../../../packages/monitor/src/wiring/portproxy/observation.ts';
import {
  CLIENT_ADDRESS,
  INTERFACE_INDEX,
  SimulatedMachine,
} from '../../windows-sim/support/simulated-machine.ts';

const ADDRESS = '169.254.169.254';
const FIRST = { address: '172.21.192.9', port: 80, instanceId: 'first' };
const SECOND = { address: '172.21.192.10', port: 80, instanceId: 'second' };

async function machineWith(env: Readonly<Record<string, string>> = {}): Promise<SimulatedMachine> {
  const machine = await SimulatedMachine.boot(env);
  for (const { address, port, instanceId } of [FIRST, SECOND])
    machine.proxies.set(`${address}:${port}`, instanceId);
  return machine;
}

async function whileTimePasses<T>(machine: SimulatedMachine, running: Promise<T>): Promise<T> {
  const waiting = new AbortController();
  const result = running.finally(() => waiting.abort());
  while (!waiting.signal.aborted) {
    await machine.clock.advance(50);
    await new Promise(resolve => setImmediate(resolve));
  }
  return await result;
}

/** Runs a script of the product while time goes by. */
async function observe(machine: SimulatedMachine, script: string): Promise<Observation> {
  const [file = '', ...argv] = powershellArgv(script);
  const { exitCode, stdout, stderr } = await whileTimePasses(machine, machine.run([file, ...argv]));
  const report = parseReport(stdout.replaceAll('\n', '\r\n'));
  assert.ok(report, `exit code ${exitCode}: ${stderr}${stdout}`);
  return report;
}

describe("the product's PowerShell scripts in the simulated container", () => {
  it('forward to the proxy, and change nothing the second time', async () => {
    const machine = await machineWith();
    const seen = await observe(machine, applyScript(CLIENT_ADDRESS, FIRST));
    assert.deepEqual(seen.changes, ['dad', 'address', 'set']);
    assert.equal(seen.failure, undefined);
    assert.deepEqual(seen.addresses, [
      { interfaceIndex: INTERFACE_INDEX, state: 'Preferred', prefixLength: 32, skipAsSource: true },
    ]);
    assert.deepEqual(seen.answer, { status: 204, instanceId: 'first' });
    const persistent = machine.machine.ip.addresses().filter(({ store }) => store === 'PersistentStore');
    assert.deepEqual(persistent, []);
    assert.deepEqual((await observe(machine, applyScript(CLIENT_ADDRESS, FIRST))).changes, []);
  });

  for (const [retarget, changes] of [
    ['set', ['retarget', 'set']],
    // The rule that led elsewhere is deleted first, which is as much.
    ['replace', ['retarget', 'set']],
    ['restart', ['retarget', 'set', 'replace', 'restart']],
  ] as const) {
    it(`forward to another proxy where a new target needs "${retarget}"`, async () => {
      const machine = await machineWith({ WINDOWS_SIM_RETARGET: retarget });
      await observe(machine, applyScript(CLIENT_ADDRESS, FIRST));
      const seen = await observe(machine, applyScript(CLIENT_ADDRESS, SECOND));
      assert.deepEqual(seen.changes, changes);
      assert.equal(seen.answer?.instanceId, 'second');
    });
  }

  describe('with a rule that leads to where another proxy was', () => {
    const STALE = { listen: { address: ADDRESS, port: 80 }, connect: { address: SECOND.address, port: 80 } };

    async function machineWithRule(env: Readonly<Record<string, string>> = {}): Promise<SimulatedMachine> {
      const machine = await machineWith(env);
      await machine.machine.portProxy.set(STALE);
      return machine;
    }

    it('delete it before they add the address', async () => {
      const machine = await machineWithRule();
      const add = machine.linux.addAddress.bind(machine.linux);
      const rules: unknown[] = [];
      machine.linux.addAddress = async (...args) => {
        rules.push(machine.machine.portProxy.rules());
        await add(...args);
      };
      const seen = await observe(machine, applyScript(CLIENT_ADDRESS, FIRST));
      assert.deepEqual(rules, [[]]);
      assert.deepEqual(seen.changes, ['retarget', 'dad', 'address', 'set']);
      assert.equal(seen.answer?.instanceId, 'first');
    });

    it('leave none for a proxy that cannot be reached', async () => {
      const machine = await machineWith();
      await observe(machine, applyScript(CLIENT_ADDRESS, SECOND));
      machine.proxies.delete(`${FIRST.address}:${FIRST.port}`);
      const seen = await observe(machine, applyScript(CLIENT_ADDRESS, FIRST));
      assert.equal(seen.failure?.message, 'proxy-unreachable');
      assert.deepEqual([seen.rules, seen.answer], [[], undefined]);
    });

    it('add no address while it cannot be deleted', async () => {
      const machine = await machineWithRule({ WINDOWS_SIM_RIGHTS: 'user' });
      const seen = await observe(machine, applyScript(CLIENT_ADDRESS, FIRST));
      assert.equal(seen.failure?.step, 'stale-rule');
      assert.deepEqual(seen.addresses, []);
    });
  });

  it('wait until the address is preferred before they set the rule', async () => {
    const machine = await machineWith({ WINDOWS_SIM_DAD: 'always' });
    const seen = await observe(machine, applyScript(CLIENT_ADDRESS, FIRST));
    assert.equal(seen.answer?.instanceId, 'first');
  });

  it('tell of an address that somebody else owns, and leave nothing', async () => {
    const machine = await machineWith({ WINDOWS_SIM_DAD: 'always' });
    machine.linux.ownedByOthers.add(ADDRESS);
    const seen = await observe(machine, applyScript(CLIENT_ADDRESS, FIRST));
    assert.deepEqual(seen.failure, { step: 'preferred', message: 'duplicate', id: 'duplicate' });
    assert.deepEqual([seen.addresses, seen.rules], [[], []]);
  });

  for (const state of ['stopped', 'disabled'] as const) {
    it(`start the service when it is ${state}`, async () => {
      const machine = await machineWith({ WINDOWS_SIM_IPHLPSVC: state });
      const seen = await observe(machine, applyScript(CLIENT_ADDRESS, FIRST));
      assert.deepEqual(seen.changes, ['dad', 'address', 'service', 'set']);
      assert.equal(seen.answer?.instanceId, 'first');
    });
  }

  it('remove what another container left in the persistent store', async () => {
    const machine = await machineWith({ WINDOWS_SIM_LEAKED_ADDRESS: ADDRESS });
    const seen = await observe(machine, applyScript(CLIENT_ADDRESS, FIRST));
    assert.ok(seen.changes.includes('persistent-address'));
    assert.equal(seen.answer?.instanceId, 'first');
  });

  it("report Windows' refusal of users without rights by its number", async () => {
    const machine = await machineWith({ WINDOWS_SIM_RIGHTS: 'user', WINDOWS_SIM_LANGUAGE: 'ja' });
    const seen = await observe(machine, applyScript(CLIENT_ADDRESS, FIRST));
    assert.equal(seen.user, 'ContainerUser');
    assert.equal(seen.failure?.id, 'Windows System Error 5,Set-NetIPInterface');
  });

  it('take everything away again', async () => {
    const machine = await machineWith();
    await observe(machine, applyScript(CLIENT_ADDRESS, FIRST));
    const seen = await observe(machine, removeScript(CLIENT_ADDRESS));
    assert.deepEqual(seen.changes, ['rule', 'address']);
    assert.deepEqual([seen.addresses, seen.rules, seen.failure], [[], [], undefined]);
  });
});
