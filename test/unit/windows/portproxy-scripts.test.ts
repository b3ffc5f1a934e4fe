import assert from 'node:assert/strict';
import {
  applyScript,
  powershellArgv,
  removeScript,
} from '../../../packages/monitor/src/wiring/portproxy/powershell-script.ts';
import { parsePowershell, syntaxProblems } from '../../../scripts/lib/powershell-grammar.ts';

/** Of CreateProcess (learn.microsoft.com), its NUL included. */
const MAX_COMMAND_LINE = 32_767;

const TARGET = { address: '172.21.192.109', port: 65_535, instanceId: 'a'.repeat(64) };
const SCRIPTS = {
  apply: applyScript('172.21.198.175', TARGET),
  remove: removeScript('172.21.198.175'),
};

describe('the scripts of portproxy', () => {
  for (const [name, script] of Object.entries(SCRIPTS)) {
    it(`are PowerShell: ${name}`, async () => {
      const tree = await parsePowershell(script);
      assert.deepEqual(syntaxProblems(tree), []);
      tree.delete();
    });

    it(`are plain ASCII without comments: ${name}`, () => {
      assert.match(script, /^[\n -~]*$/);
      assert.doesNotMatch(script, /^\s*#/m);
    });

    it(`fit a command line: ${name}`, () => {
      assert.ok(powershellArgv(script).join(' ').length < MAX_COMMAND_LINE);
    });

    it(`name a store in all that reads or writes addresses: ${name}`, () => {
      for (const line of script.split('\n').filter(text => /-Net(IPAddress|IPInterface)\b/.test(text))) {
        assert.match(line, /-PolicyStore (ActiveStore|PersistentStore|\$store)/);
      }
    });

    it(`use only variables that are set: ${name}`, () => {
      const automatic = ['_', 'null', 'true', 'false', 'env'];
      const used = new Set([...script.matchAll(/\$(\w+)/g)].map(([, variable]) => variable!));
      const set = new Set(
        [...script.matchAll(/\$(\w+) \+?= |foreach \(\$(\w+) in/g)].map(([, a, b]) => a ?? b!),
      );
      assert.deepEqual(
        [...used].filter(variable => !set.has(variable) && !automatic.includes(variable)),
        [],
      );
    });
  }

  it('are passed as UTF-16LE in Base64', () => {
    const encoded = powershellArgv("'ü'").at(-1) ?? '';
    assert.deepEqual([...Buffer.from(encoded, 'base64')], [0x27, 0, 0xfc, 0, 0x27, 0]);
  });
});
