import assert from 'node:assert/strict';
import { lentElements, parseTargetElement, vmElements, vmTable } from '../../../src/guard/vm-table.ts';
import type { VmRulesWanted } from '../../../src/guard/vm-rules.ts';
import { replaceTable } from '../../../src/nft/table-definition.ts';

const proxyBridge = { interfaceName: 'br-msi', gateway: '172.31.250.1' };
const target = { address: '172.31.250.2', port: 8080 };
const wanted: VmRulesWanted = { guard: 'enforce', redirect: true, proxyBridge, target };

const WAITING: VmRulesWanted = { guard: 'enforce', redirect: true, proxyBridge };

function batch(changes: Partial<VmRulesWanted>): string {
  const all = { ...wanted, ...changes };
  return replaceTable(vmTable(all)!, vmElements(all));
}

describe('The table of a VM', () => {
  it('replaces the old one in the same transaction, target included', () => {
    const lines = batch({}).split('\n');

    assert.deepEqual(lines.slice(0, 3), [
      'add table ip msi_proxy',
      'delete table ip msi_proxy',
      'table ip msi_proxy {',
    ]);
    assert.equal(lines.at(-2), 'add element ip msi_proxy target { 80 : 172.31.250.2 . 8080 }');
  });

  it('refuses nothing in audit mode', () => {
    assert.doesNotMatch(batch({ guard: 'audit' }), /\b(reject|drop)\b/);
  });

  it('redirects all containers but those that audit must not stop', () => {
    const audit = batch({ guard: 'audit', bystanders: ['172.17.0.3', '172.17.0.2', '172.17.0.3'] });

    assert.match(audit, /iifname != "br-msi" .* ip saddr != @bystanders ip daddr 169\.254\.169\.254 dnat/);
    assert.match(audit, /add element ip msi_proxy bystanders \{ 172\.17\.0\.3, 172\.17\.0\.2 \}/);
    assert.doesNotMatch(batch({}), /bystanders/);
  });

  describe('keeps answers of proxies out of the sight of what Docker drops', () => {
    const flips = (text: string) => text.split('\n').filter(line => line.includes('ip daddr ^'));

    it('before and after Docker looks, by the same rule, so that none keeps another address', () => {
      const text = batch({ proxyAddresses: ['172.31.250.2'] });
      const [before, after, ...rest] = flips(text);
      assert.match(before!, /^\s*ip saddr \{ 172\.31\.250\.2 \} tcp flags .* != syn ip daddr set/);
      assert.equal(after, before);
      assert.deepEqual(rest, []);
      assert.match(text, /priority raw - 10/);
      assert.match(text, /priority raw \+ 10/);
    });

    it('by any bridge, or by that of the proxies while nobody knows which they are', () => {
      for (const flip of flips(batch({}))) assert.match(flip, /^\s*iifname "br-msi" tcp flags/);
    });

    it('and nothing where there is no proxy, or nothing is redirected', () => {
      assert.deepEqual(flips(batch({ proxyAddresses: [] })), []);
      assert.deepEqual(flips(batch({ redirect: false })), []);
    });
  });

  it('refuses a bystander that is no address', () => {
    assert.throws(() => batch({ guard: 'audit', bystanders: ['0.0.0.0/0'] }), { code: 'MSI_INTERNAL' });
  });

  it('counts who is stopped in rules without a verdict, since a full set ends its rule', () => {
    const counting = batch({})
      .split('\n')
      .filter(line => line.includes('update @stopped'));

    assert.equal(counting.length, 3);
    for (const line of counting) assert.doesNotMatch(line, /\b(accept|drop|reject)\b/);
  });

  describe('of a VM with a bridge on which a proxy has the address of IMDS', () => {
    const attaching = { redirect: false, linkBridge: 'msi-link0' };

    it('lets pass what stays on that bridge', () => {
      assert.match(batch(attaching), /iifname "msi-link0" oifname "msi-link0" accept/);
    });

    it('refuses at once what goes elsewhere, since waiting would not bring it to the proxy', () => {
      assert.doesNotMatch(batch(attaching), /no proxy: wait/);
      assert.match(
        batch(attaching),
        /ip daddr 169\.254\.169\.254 meta l4proto tcp counter reject with tcp reset/,
      );
    });
  });

  it('has no guard when it is off', () => {
    assert.doesNotMatch(batch({ guard: 'off' }), /chain guard \{/);
    // Without the barrier there is nobody to vouch to.
    assert.match(batch({}), /ip daddr 169\.254\.169\.254 meta mark set 0x4d534931/);
    for (const guard of ['audit', 'off'] as const) assert.doesNotMatch(batch({ guard }), /mark set/);
  });

  it('only guards while there is no proxy network', () => {
    const table = vmTable({ guard: 'enforce', redirect: true });

    assert.deepEqual(
      table?.chains.map(({ name }) => name),
      ['guard', 'vouch'],
    );
    assert.doesNotMatch(replaceTable(table, {}), /fname/);
  });

  describe('with a stand-in', () => {
    const standIn = { address: '172.31.250.1', port: 9181 };

    it('sends requests there only while there is no proxy', () => {
      assert.match(batch({ standIn }), /target \{ 80 : 172\.31\.250\.2 \. 8080 \}/);
      assert.match(
        replaceTable(vmTable(wanted)!, vmElements({ ...WAITING, standIn })),
        /target \{ 80 : 172\.31\.250\.1 \. 9181 \}/,
      );
    });

    it('has rules for it also when the guard is off, since everybody could reach it', () => {
      assert.match(batch({ standIn, guard: 'off' }), /chain to_stand_in \{/);
    });

    it('lets the proxies ask there, and nobody else', () => {
      assert.match(
        batch({ standIn, proxyAddresses: ['172.31.250.3', '172.31.250.2'] }),
        /iifname "br-msi" ip saddr \{ 172\.31\.250\.2, 172\.31\.250\.3 \} ip daddr 172\.31\.250\.1 tcp dport 9181 accept/,
      );
      assert.doesNotMatch(batch({ standIn, proxyAddresses: [] }), /ask past the engine/);
    });

    it('only lets proxies ask where another method redirects', () => {
      const asking = batch({ standIn, redirect: false, proxyAddresses: ['172.31.250.2'] });
      assert.match(asking, /ask past the engine/);
      assert.doesNotMatch(asking, /from_stand_in|lent/);
      assert.deepEqual(vmElements({ ...WAITING, standIn, redirect: false }), {});
    });

    it('refuses one that no rule can hold', () => {
      assert.throws(() => batch({ standIn: { address: '0.0.0.0/0', port: 80 } }), { code: 'MSI_INTERNAL' });
    });
  });

  it('is none when nothing is wanted', () => {
    assert.equal(vmTable({ guard: 'off', redirect: false }), undefined);
  });

  it("lets everybody on the proxies' network pass while it is not told who is a proxy", () => {
    assert.match(batch({}), /iifname "br-msi" ip daddr 169\.254\.169\.254 accept/);
  });

  it("lets nobody on the proxies' network pass when there is no proxy", () => {
    assert.doesNotMatch(batch({ proxyAddresses: [] }), /daddr 169\.254\.169\.254 accept comment "proxies/);
  });

  it('is the same for the same proxies, in whatever order they are told', () => {
    const one = batch({ proxyAddresses: ['172.31.250.3', '172.31.250.2', '172.31.250.3'] });

    assert.equal(one, batch({ proxyAddresses: ['172.31.250.2', '172.31.250.3'] }));
    assert.match(one, /ip saddr \{ 172\.31\.250\.2, 172\.31\.250\.3 \}/);
  });

  it('refuses a proxy address that is none', () => {
    assert.throws(() => batch({ proxyAddresses: ['0.0.0.0/0'] }), { code: 'MSI_INTERNAL' });
  });

  for (const interfaceName of ['', 'br*', 'br"; accept', 'a-name-of-16-let', 'br msi', 'br\n']) {
    it(`refuses the bridge name ${JSON.stringify(interfaceName)}`, () => {
      assert.throws(() => batch({ proxyBridge: { ...proxyBridge, interfaceName } }), {
        code: 'MSI_SETTINGS_INVALID',
      });
    });
  }

  for (const endpoint of [
    { address: '::1', port: 80 },
    { address: '172.31.250.2 . 80 }; flush ruleset', port: 80 },
    { address: '172.31.250.2', port: 0 },
    { address: '172.31.250.2', port: 65_536 },
    { address: '172.31.250.2', port: 1.5 },
  ]) {
    it(`refuses the target ${JSON.stringify(endpoint)}`, () => {
      assert.throws(() => batch({ target: endpoint }), { code: 'MSI_INTERNAL' });
    });
  }
});

describe('lentElements', () => {
  it('names the container by the local port', () => {
    assert.deepEqual(lentElements([{ port: 20_000, address: '172.17.0.2' }]), ['20000 : 172.17.0.2']);
  });

  it('refuses an address that is none', () => {
    assert.throws(() => lentElements([{ port: 20_000, address: '::ffff:172.17.0.2' }]), {
      code: 'MSI_INTERNAL',
    });
  });
});

describe('parseTargetElement', () => {
  it('reads what was written', () => {
    assert.deepEqual(parseTargetElement('80 : 172.31.250.2 . 8080'), target);
  });

  it('overlooks what another program put there', () => {
    assert.equal(parseTargetElement('{"elem":1}'), undefined);
  });
});
