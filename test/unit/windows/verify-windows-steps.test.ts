import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryRoot } from '../../../scripts/lib/repository.ts';
import { CLIENT_ADDRESS, SimulatedMachine } from '../../windows-sim/support/simulated-machine.ts';

const IMDS = '169.254.169.254';
const TARGET = '172.21.198.80';
const CLIENT = '172.21.198.81';
const SOURCE = readFileSync(join(repositoryRoot, 'scripts/verify-windows/wiring.ps1'), 'utf8').replaceAll(
  '\r',
  '',
);
const VARIABLES = [
  "$ErrorActionPreference = 'Stop'; $ProgressPreference = 'SilentlyContinue'",
  `$Imds = '${IMDS}'`,
  `$Own = '${CLIENT_ADDRESS}'`,
  `$Client = '${CLIENT}'`,
  "$Loopback = 'no'",
].join('\n');

/** The text of a script that `wiring.ps1` runs inside containers. */
function stepScript(name: string): string {
  const [, text] = new RegExp(String.raw`^\$${name} = @'\n(.*?)\n'@$`, 'ms').exec(SOURCE) ?? [];
  assert.ok(text !== undefined, `${name} is not there`);
  return text;
}

describe('the steps of the script that verifies a Windows agent, in a simulated container', () => {
  let container: SimulatedMachine;
  beforeEach(async () => {
    container = await SimulatedMachine.boot();
  });

  async function step(name: string): Promise<Record<string, unknown>> {
    const { exitCode, stdout, stderr } = await container.powershell(`${VARIABLES}\n${stepScript(name)}`);
    assert.deepEqual([exitCode, stderr], [0, ''], name);
    return JSON.parse(stdout.trimEnd().split('\n').at(-1)!) as Record<string, unknown>;
  }

  async function addRule(): Promise<void> {
    await container.line(
      `netsh interface portproxy set v4tov4 listenport=80 listenaddress=${IMDS} connectport=80 connectaddress=${TARGET} protocol=tcp`,
    );
  }

  it('switch duplicate address detection off and read it back', async () => {
    assert.deepEqual(await step('DadOffScript'), { dadTransmits: 0 });
  });

  it('add the address and see it become Preferred, in the active store only', async () => {
    await step('DadOffScript');
    const seen = await step('AddAddressScript');
    assert.deepEqual(seen, {
      state: 'Preferred',
      polls: 1,
      prefixLength: 32,
      skipAsSource: true,
      persistent: 0,
    });
  });

  it('see Duplicate where somebody else has the address and detection is on', async () => {
    container.linux.ownedByOthers.add(IMDS);
    const adding = step('AddAddressScript');
    let seen: Record<string, unknown> | undefined;
    while (seen === undefined)
      seen = await Promise.race([adding, container.clock.advance(250).then(() => undefined)]);
    assert.equal(seen['state'], 'Duplicate');
  });

  it('start the service and tell how it was', async () => {
    container = await SimulatedMachine.boot({ WINDOWS_SIM_IPHLPSVC: 'disabled' });
    assert.deepEqual(await step('ServiceScript'), {
      before: 'Stopped',
      startType: 'Disabled',
      after: 'Running',
    });
  });

  it('see the rule and what listens', async () => {
    await step('DadOffScript');
    await step('AddAddressScript');
    await step('ServiceScript');
    await addRule();
    const seen = await step('ObserveScript');
    assert.equal((seen['rules'] as unknown[]).length, 1);
    assert.deepEqual(seen['listeners'], [IMDS]);
    assert.equal(seen['addresses'], 1);
  });

  it('make a client the way of its neighbour to 169.254.169.254, and see that it is', async () => {
    const seen = await step('NeighbourScript');
    assert.equal((seen['rows'] as unknown[]).length, 1);
    assert.deepEqual(
      container.linux.routes().flatMap(({ destination, gateway }) => (destination === IMDS ? gateway : [])),
      [CLIENT],
    );
  });

  it('see that the way could not be made', async () => {
    container = await SimulatedMachine.boot({ WINDOWS_SIM_RIGHTS: 'user' });
    assert.deepEqual(await step('NeighbourScript'), { rows: [] });
  });

  it('see a rule that nothing serves', async () => {
    container = await SimulatedMachine.boot({ WINDOWS_SIM_IPHLPSVC: 'stopped' });
    await addRule();
    const seen = await step('ObserveScript');
    assert.equal((seen['rules'] as unknown[]).length, 1);
    assert.deepEqual([seen['listeners'], seen['addresses']], [[], 0]);
  });
});
