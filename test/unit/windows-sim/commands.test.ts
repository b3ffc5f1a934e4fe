import assert from 'node:assert/strict';
import { encodeOem } from '../../windows-sim/src/code-page.ts';
import { NOT_SIMULATED_EXIT_CODE } from '../../windows-sim/src/programs.ts';
import { INTERFACE_INDEX, SimulatedMachine } from '../../windows-sim/support/simulated-machine.ts';

const ADDRESS = '169.254.169.254';
const ADD_ADDRESS = `netsh interface ipv4 add address ${INTERFACE_INDEX} ${ADDRESS} 255.255.255.255 store=active skipassource=true`;
const NO_DAD = `netsh interface ipv4 set interface ${INTERFACE_INDEX} dadtransmits=0 store=active`;
const LISTEN = `listenport=80 listenaddress=${ADDRESS}`;
const ruleTo = (verb: string, address: string) =>
  `netsh interface portproxy ${verb} v4tov4 ${LISTEN} connectport=80 connectaddress=${address} protocol=tcp`;
const DELETE_RULE = `netsh interface portproxy delete v4tov4 ${LISTEN} protocol=tcp`;
const SHOW_RULES = 'netsh interface portproxy show v4tov4';
const SHOW_ADDRESSES = 'netsh interface ipv4 show ipaddresses';

async function withAddress(env: Readonly<Record<string, string>> = {}): Promise<SimulatedMachine> {
  const machine = await SimulatedMachine.boot(env);
  await machine.line(NO_DAD);
  await machine.line(ADD_ADDRESS);
  return machine;
}

describe("the simulated container's addresses", () => {
  it('are tentative until three probes stayed without an answer, and only then there', async () => {
    const machine = await SimulatedMachine.boot();
    assert.equal((await machine.line(ADD_ADDRESS)).exitCode, 0);
    assert.match((await machine.line(SHOW_ADDRESSES)).stdout, /Tentative .* 169\.254\.169\.254/);
    await machine.clock.advance(3_000);
    assert.match((await machine.line(SHOW_ADDRESSES)).stdout, /Preferred .* 169\.254\.169\.254/);
  });

  it('are preferred at once without probes', async () => {
    const machine = await withAddress();
    assert.match((await machine.line(SHOW_ADDRESSES)).stdout, /Preferred .* 169\.254\.169\.254/);
  });

  it('are duplicate when another one on the link owns them', async () => {
    const machine = await SimulatedMachine.boot();
    machine.linux.ownedByOthers.add(ADDRESS);
    await machine.line(ADD_ADDRESS);
    await machine.clock.advance(3_000);
    assert.match((await machine.line(SHOW_ADDRESSES)).stdout, /Duplicate .* 169\.254\.169\.254/);
    assert.deepEqual(
      machine.linux
        .interfaces()[1]
        ?.addresses.map(({ address }) => address)
        .includes(ADDRESS),
      false,
    );
  });

  it('are probed for although that was turned off, where Windows does not obey', async () => {
    const machine = await withAddress({ WINDOWS_SIM_DAD: 'always' });
    assert.match((await machine.line(SHOW_ADDRESSES)).stdout, /Tentative/);
  });

  it('are in the persistent store too unless the active one is named', async () => {
    const machine = await SimulatedMachine.boot();
    await machine.line(ADD_ADDRESS.replace(' store=active', ''));
    assert.match(
      (await machine.line('route print -4')).stdout,
      /Persistent Routes:[\s\S]*169\.254\.169\.254/,
    );
    await machine.line(`netsh interface ipv4 delete address ${INTERFACE_INDEX} ${ADDRESS} store=active`);
    assert.match(
      (await machine.line('route print -4')).stdout,
      /Persistent Routes:[\s\S]*169\.254\.169\.254/,
    );
  });
});

describe("the simulated container's port proxy", () => {
  it('lists its rule and forwards to its target', async () => {
    const machine = await withAddress();
    assert.equal((await machine.line(ruleTo('set', '172.21.192.9'))).exitCode, 0);
    assert.match(
      (await machine.line(SHOW_RULES)).stdout,
      /^169\.254\.169\.254 80 {9}172\.21\.192\.9 {4}80 *$/m,
    );
    assert.equal(machine.targets.get(`${ADDRESS}:80`), '172.21.192.9:80');
  });

  it('prints only an empty line without rules', async () => {
    const machine = await SimulatedMachine.boot();
    assert.equal((await machine.line(SHOW_RULES)).stdout, '\n');
  });

  it('lists its rule while the service is stopped, and nothing listens', async () => {
    const machine = await withAddress({ WINDOWS_SIM_IPHLPSVC: 'stopped' });
    await machine.line(ruleTo('add', '172.21.192.9'));
    assert.match((await machine.line(SHOW_RULES)).stdout, /169\.254\.169\.254/);
    assert.equal(machine.targets.size, 0);
    assert.equal((await machine.line('net start iphlpsvc')).exitCode, 0);
    assert.match(
      (await machine.line('netstat -ano -p tcp')).stdout,
      /169\.254\.169\.254:80 +0\.0\.0\.0:0 +LISTENING/,
    );
  });

  it('never serves a rule that was set while its address was tentative', async () => {
    const machine = await SimulatedMachine.boot();
    await machine.line(ADD_ADDRESS);
    await machine.line(ruleTo('set', '172.21.192.9'));
    await machine.clock.advance(3_000);
    await machine.line('net stop iphlpsvc /y');
    await machine.line('net start iphlpsvc');
    assert.equal(machine.targets.size, 0);
  });

  const remedies = ['set', 'replace', 'restart'] as const;
  for (const [needed, remedy] of remedies.entries()) {
    it(`takes a new target from the remedy "${remedy}" on, where that is needed`, async () => {
      const machine = await withAddress({ WINDOWS_SIM_RETARGET: remedy });
      await machine.line(ruleTo('set', '172.21.192.9'));
      const steps = [
        [ruleTo('set', '172.21.192.10')],
        [DELETE_RULE, ruleTo('add', '172.21.192.10')],
        ['net stop iphlpsvc /y', 'net start iphlpsvc'],
      ];
      for (const [position, lines] of steps.entries()) {
        for (const line of lines) await machine.line(line);
        const expected = position < needed ? '172.21.192.9:80' : '172.21.192.10:80';
        assert.equal(machine.targets.get(`${ADDRESS}:80`), expected);
      }
    });
  }

  it('cannot delete what is not there', async () => {
    const machine = await SimulatedMachine.boot();
    const { exitCode, stdout } = await machine.line(DELETE_RULE);
    assert.equal(exitCode, 2);
    assert.match(stdout, /cannot find the file specified/);
  });
});

describe("the simulated container's programs", () => {
  const refused = [
    ruleTo('set', '172.21.192.9').replace('protocol', 'protokoll'),
    ruleTo('set', '172.21.192.9').replace('listenport=80', 'listenport=0'),
    ruleTo('change', '172.21.192.9'),
    'netsh interface portproxy reset',
    'netsh interface ipv4 show addresses',
    `netsh interface ipv4 add address ${INTERFACE_INDEX} ${ADDRESS} store=active`,
    `netsh interface ipv4 add address 77 ${ADDRESS} 255.255.255.255 store=active`,
    `${ADD_ADDRESS} store=active`,
    'sc config iphlpsvc start=demand',
    'sc start iphlpsvc',
    'sc query spooler',
    'net start spooler',
    'netstat -an',
    'route add 169.254.169.254 172.21.192.1',
    'ipconfig /renew',
  ];
  for (const line of refused) {
    it(`refuse "${line}"`, async () => {
      const machine = await SimulatedMachine.boot();
      assert.notEqual((await machine.line(line)).exitCode, 0);
      assert.deepEqual(machine.machine.portProxy.rules(), []);
    });
  }

  it('change nothing for ContainerUser', async () => {
    const machine = await SimulatedMachine.boot();
    for (const line of [
      ADD_ADDRESS,
      NO_DAD,
      ruleTo('set', '172.21.192.9'),
      'net stop iphlpsvc',
      'sc config iphlpsvc start= disabled',
    ]) {
      assert.notEqual((await machine.line(line, 'ContainerUser')).exitCode, 0, line);
    }
    assert.deepEqual(machine.machine.portProxy.rules(), []);
    assert.equal(machine.machine.service('iphlpsvc')?.isRunning, true);
    assert.doesNotMatch((await machine.line(SHOW_ADDRESSES)).stdout, /169\.254/);
  });

  it('tell the state of a service by number', async () => {
    const machine = await SimulatedMachine.boot({ WINDOWS_SIM_IPHLPSVC: 'disabled' });
    assert.match((await machine.line('sc query iphlpsvc')).stdout, /STATE {14}: 1 {2}STOPPED/);
    assert.equal((await machine.line('net start iphlpsvc')).exitCode, 1058);
    await machine.line('sc config iphlpsvc start= demand');
    await machine.line('net start iphlpsvc');
    assert.match((await machine.line('sc query iphlpsvc')).stdout, /STATE {14}: 4 {2}RUNNING/);
  });

  it('set routes that `route print` then shows', async () => {
    const machine = await SimulatedMachine.boot();
    await machine.line('route add 169.254.169.254 mask 255.255.255.255 172.21.192.1 metric 1');
    const row = /^ +169\.254\.169\.254 +255\.255\.255\.255 +172\.21\.192\.1 +172\.21\.198\.75 +\d+$/m;
    assert.match((await machine.line('route print -4')).stdout, row);
    await machine.line('route delete 169.254.169.254 mask 255.255.255.255 172.21.192.1');
    assert.doesNotMatch((await machine.line('route print -4')).stdout, row);
  });

  it('say headings and states in the language of the image, in its code page', async () => {
    const german = await withAddress({ WINDOWS_SIM_LANGUAGE: 'de' });
    assert.match((await german.line(SHOW_ADDRESSES)).stdout, /Bevorzugt .* 169\.254\.169\.254/);
    assert.deepEqual([...encodeOem('Abhören', 'de')], [0x41, 0x62, 0x68, 0x94, 0x72, 0x65, 0x6e]);
    assert.deepEqual([...encodeOem('表', 'ja')], [0x95, 0x5c]);
  });
});

describe("the simulated container's cmd", () => {
  it('runs commands one after the other and goes on after failures', async () => {
    const machine = await SimulatedMachine.boot();
    const line = 'echo one&net start iphlpsvc&ver&echo %USERNAME%';
    const { exitCode, stdout, stderr } = await machine.run(['cmd', '/d', '/s', '/c', line]);
    assert.equal(exitCode, 0);
    assert.match(stdout, /^one\n[\s\S]*2182[\s\S]*ContainerAdministrator\n$/);
    assert.match(stderr, /'ver' is not recognized/);
  });

  it('does not know programs that the image lacks', async () => {
    const machine = await SimulatedMachine.boot({ WINDOWS_SIM_MISSING: 'powershell,netsh' });
    const { exitCode, stderr } = await machine.run(['cmd', '/d', '/s', '/c', SHOW_RULES]);
    assert.equal(exitCode, 9009);
    assert.match(stderr, /'netsh' is not recognized/);
  });

  for (const line of ['echo "a"', 'dir | more', 'echo a>b', 'echo a&&echo b', 'echo %PATH%']) {
    it(`refuses ${line}, which is not simulated`, async () => {
      const machine = await SimulatedMachine.boot();
      const { exitCode, stderr } = await machine.run(['cmd', '/d', '/s', '/c', line]);
      assert.equal(exitCode, NOT_SIMULATED_EXIT_CODE);
      assert.match(stderr, /^not simulated: /);
    });
  }
});

describe('the switches of the simulated container', () => {
  for (const env of [
    { WINDOWS_SIM_LANGUAGE: 'fr' },
    { WINDOWS_SIM_DUD: 'x' },
    { WINDOWS_SIM_EXEC_DELAY_MS: '2s' },
  ]) {
    it(`refuse ${JSON.stringify(env)}`, async () => {
      await assert.rejects(SimulatedMachine.boot(env));
    });
  }
});
