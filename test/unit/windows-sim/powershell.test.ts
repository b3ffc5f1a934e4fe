import assert from 'node:assert/strict';
import { NOT_SIMULATED_EXIT_CODE } from '../../windows-sim/src/programs.ts';
import {
  CLIENT_ADDRESS,
  INTERFACE_INDEX,
  SimulatedMachine,
} from '../../windows-sim/support/simulated-machine.ts';

const ADDRESS = '169.254.169.254';
const NEW_ADDRESS = `New-NetIPAddress -InterfaceIndex ${INTERFACE_INDEX} -IPAddress ${ADDRESS} -PrefixLength 32 -SkipAsSource $true`;

async function linesOf(script: string, env?: Readonly<Record<string, string>>): Promise<string[]> {
  const { exitCode, stdout, stderr } = await (await SimulatedMachine.boot(env)).powershell(script);
  assert.deepEqual([exitCode, stderr], [0, '']);
  return stdout.trimEnd().split('\n');
}

describe("the simulated container's PowerShell language", () => {
  const cases: readonly (readonly [script: string, lines: readonly string[]])[] = [
    ["'it''s'", ["it's"]],
    ['$a = 80; "port=$a, $a"', ['port=80, 80']],
    ["$a = @(); $a += 'x'; $a += @{ b = 1 }; $a.Count; $a[1].B", ['2', '1']],
    ["if ('A' -eq 'a') { 'same' } elseif ($true) { 'other' } else { 'none' }", ['same']],
    ['$i = 0; while ($i -lt 3) { $i += 1 }; $i', ['3']],
    ["foreach ($x in @('a', 'b')) { $x }", ['a', 'b']],
    ["foreach ($x in @()) { $x }; 'end'", ['end']],
    ["try { throw 'why' } catch { $_.Exception.Message; $_.FullyQualifiedErrorId }", ['why', 'why']],
    ["try { try { throw 'a' } catch { throw 'b' } } catch { [string]$_.Exception.Message }", ['b']],
    [String.raw`'  10.0.0.1 80 ' -match '^\s*\S+\s+\d+\s*$'`, ['True']],
    ["'a\u00e9b' -replace '[^ -~]', '?'", ['a?b']],
    ["-not $false -and ('a' -ne 'b')", ['True']],
    ['$null -eq $null; [int]"42"; [bool]@()', ['True', '42', 'False']],
    ['$env:USERNAME', ['ContainerAdministrator']],
    ['$x = @(netsh interface portproxy show v4tov4); $x.Count', ['1']],
  ];
  for (const [script, lines] of cases) {
    it(`runs ${script}`, async () => assert.deepEqual(await linesOf(script), lines));
  }

  const refused = [
    'Get-Service -Name iphlpsvc | Format-List',
    'function f { 1 }',
    '$notSet',
    '[System.Net.Dns]::GetHostName()',
    "'a'.ToUpper()",
    '"$(1)"',
    "& 'cmd'",
    'break',
    "switch (1) { 1 { 'x' } }",
    '$a = 1; $a++',
    "@('a', 'b') -eq 'a'",
    'Get-Service -Name iphlpsvc',
    '(Get-Service -Name iphlpsvc).DisplayName',
    'do { 1 } while ($false)',
    'try { 1 } catch { 2 } finally { 3 }',
  ];
  for (const script of refused) {
    it(`refuses ${script}, which is not simulated`, async () => {
      const { exitCode, stderr } = await (await SimulatedMachine.boot()).powershell(script);
      assert.deepEqual([exitCode, stderr.slice(0, 15)], [NOT_SIMULATED_EXIT_CODE, 'not simulated: ']);
    });
  }

  const mistakes: readonly (readonly [script: string, id: string])[] = [
    ['Get-Nothing', 'CommandNotFoundException'],
    ['Get-Service -Nme iphlpsvc', 'NamedParameterNotFound,Get-Service'],
    ['Get-Service iphlpsvc', 'PositionalParameterNotFound,Get-Service'],
    ['Start-Sleep', 'MissingMandatoryParameter,Start-Sleep'],
    ['Start-Sleep -Milliseconds soon', 'ParameterArgumentTransformationError,Start-Sleep'],
    ['Get-NetIPAddress -PolicyStore Active', 'ParameterArgumentTransformationError,Get-NetIPAddress'],
    [NEW_ADDRESS.replace('$true', "'True'"), 'ParameterArgumentTransformationError,New-NetIPAddress'],
    [NEW_ADDRESS.replace(String(INTERFACE_INDEX), '77'), 'Windows System Error 1168,New-NetIPAddress'],
    ['$true = 1', 'VariableNotWritable'],
    ["[int]'x'", 'InvalidCastFromStringToInteger'],
  ];
  for (const [script, id] of mistakes) {
    it(`reports ${script} as ${id}`, async () => {
      const { exitCode, stderr } = await (await SimulatedMachine.boot()).powershell(script);
      assert.equal(exitCode, 1);
      assert.ok(stderr.includes(`FullyQualifiedErrorId : ${id}`), stderr);
    });
  }

  it('reports what the grammar cannot read', async () => {
    const { exitCode, stderr } = await (await SimulatedMachine.boot()).powershell("if ($true) { 'x'");
    assert.equal(exitCode, 1);
    assert.match(stderr, /^At line:1/);
  });

  it('takes no other way of starting than an encoded command', async () => {
    const machine = await SimulatedMachine.boot();
    assert.equal((await machine.run(['powershell', "'x'"])).exitCode, NOT_SIMULATED_EXIT_CODE);
  });
});

describe("the simulated container's cmdlets", () => {
  it('find the interface by the own address', async () => {
    const script = `(Get-NetIPAddress -AddressFamily IPv4 -IPAddress ${CLIENT_ADDRESS} -PolicyStore ActiveStore).InterfaceIndex`;
    assert.deepEqual(await linesOf(script), [String(INTERFACE_INDEX)]);
  });

  it('write both stores unless one is named, tentative and invalid', async () => {
    const script = `foreach ($a in @(${NEW_ADDRESS})) { [string]$a.AddressState }`;
    assert.deepEqual(await linesOf(script), ['Tentative', 'Invalid']);
  });

  it('go on after an error unless it is to stop them', async () => {
    const get = `Get-NetIPAddress -IPAddress ${ADDRESS}`;
    assert.deepEqual(await linesOf(`@(${get} -ErrorAction SilentlyContinue).Count; 'end'`), ['0', 'end']);
    const stop = `$ErrorActionPreference = 'Stop'; try { ${get} } catch { $_.FullyQualifiedErrorId }`;
    assert.deepEqual(await linesOf(stop), ['CmdletizationQuery_NotFound,Get-NetIPAddress']);
    const { stdout, stderr } = await (await SimulatedMachine.boot()).powershell(`${get}; 'end'`);
    assert.equal(stdout, 'end\n');
    assert.match(stderr, /CmdletizationQuery_NotFound/);
  });

  it('name the error of Windows in the id and say it in the language of the image', async () => {
    const script = `try { ${NEW_ADDRESS} -ErrorAction Stop } catch { $_.FullyQualifiedErrorId; $_.Exception.Message }`;
    const lines = await linesOf(script, { WINDOWS_SIM_RIGHTS: 'user', WINDOWS_SIM_LANGUAGE: 'de' });
    assert.deepEqual(lines, ['Windows System Error 5,New-NetIPAddress', 'Zugriff verweigert']);
  });

  it('ask before they remove, which nobody answers', async () => {
    const remove = `Remove-NetIPAddress -IPAddress ${ADDRESS} -PolicyStore PersistentStore`;
    const machine = await SimulatedMachine.boot({ WINDOWS_SIM_LEAKED_ADDRESS: ADDRESS });
    assert.match((await machine.powershell(remove)).stderr, /NonInteractive mode/);
    const { stderr } = await machine.powershell(`${remove} -Confirm:$false`);
    assert.equal(stderr, '');
    assert.deepEqual(
      machine.machine.ip.addresses().filter(({ address }) => address === ADDRESS),
      [],
    );
  });

  it('write enumerations as numbers and lists beyond the depth as text', async () => {
    const script = [
      '$s = Get-Service -Name iphlpsvc',
      "$r = @{ status = $s.Status; name = [string]$s.Status; list = @(@{ a = '<' }) }",
      'ConvertTo-Json -InputObject $r -Compress -Depth 3',
    ].join('\n');
    const [json = ''] = await linesOf(script);
    assert.deepEqual(JSON.parse(json), { status: 4, name: 'Running', list: [{ a: '<' }] });
    assert.ok(json.includes(String.raw`\u003c`));
  });

  it('start a service that is stopped, not one that is disabled', async () => {
    const start = 'Start-Service -Name iphlpsvc; [string](Get-Service -Name iphlpsvc).Status';
    assert.deepEqual(await linesOf(start, { WINDOWS_SIM_IPHLPSVC: 'stopped' }), ['Running']);
    const manual = `Set-Service -Name iphlpsvc -StartupType Manual; ${start}`;
    assert.deepEqual(await linesOf(manual, { WINDOWS_SIM_IPHLPSVC: 'disabled' }), ['Running']);
    const machine = await SimulatedMachine.boot({ WINDOWS_SIM_IPHLPSVC: 'disabled' });
    assert.match((await machine.powershell(start)).stderr, /CouldNotStartService/);
  });
});
