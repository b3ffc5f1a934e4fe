import assert from 'node:assert/strict';
import { readInheritedRules, withInheritedRules } from '../../../src/guard/inherited-rules.ts';
import type { VmRulesWanted } from '../../../src/guard/vm-rules.ts';
import { parseTable } from '../../../src/nft/table-reading.ts';

const proxyBridge = { interfaceName: 'br-msi' };
const A = { address: '172.31.250.2', port: 80 };
const B = { address: '172.31.250.3', port: 80 };

/** As nft 1.0.6 prints it. */
function table({ sources = '{"set":["172.31.250.2","172.31.250.3"]}', target = '', standInRule = '' } = {}) {
  const source = `{"match":{"op":"==","left":{"payload":{"protocol":"ip","field":"saddr"}},"right":${sources}}},`;
  return parseTable(`{"nftables":[
    {"map":{"name":"target","elem":[${target}]}},
    {"rule":{"chain":"guard","comment":"proxies at IMDS","expr":[
      {"match":{"op":"==","left":{"meta":{"key":"iifname"}},"right":"br-msi"}},${sources === '' ? '' : source}
      {"match":{"op":"==","left":{"payload":{"protocol":"ip","field":"daddr"}},"right":"169.254.169.254"}},
      {"accept":null}]}}${standInRule}]}`);
}

const STAND_IN_RULE = `,{"rule":{"chain":"to_stand_in","comment":"redirected requests at the stand-in","expr":[
  {"match":{"op":"==","left":{"payload":{"protocol":"ip","field":"daddr"}},"right":"172.31.250.1"}},
  {"match":{"op":"==","left":{"payload":{"protocol":"tcp","field":"dport"}},"right":9181}},
  {"accept":null}]}}`;

const TO_PROXY_RULE = `{"rule":{"chain":"to_proxy","comment":"to the proxy","expr":[
  {"match":{"op":"!=","left":{"meta":{"key":"iifname"}},"right":"br-msi"}}]}}`;

describe('readInheritedRules', () => {
  it('finds the bridge, the proxies and the serving one', () => {
    const target = '[80,{"concat":["172.31.250.2",80]}]';

    assert.deepEqual(readInheritedRules(table({ target })), {
      proxyBridge,
      proxyAddresses: [A.address, B.address],
      target: A,
    });
  });

  it('finds a single proxy', () => {
    const inherited = readInheritedRules(table({ sources: '"172.31.250.2"' }));

    assert.deepEqual(inherited, { proxyBridge, proxyAddresses: [A.address] });
  });

  it('finds that all of the network passed', () => {
    assert.deepEqual(readInheritedRules(table({ sources: '' })), { proxyBridge });
  });

  it('finds that nobody passed where no rule lets anybody', () => {
    assert.deepEqual(readInheritedRules(parseTable(`{"nftables":[${TO_PROXY_RULE}]}`)), {
      proxyBridge,
      proxyAddresses: [],
    });
  });

  it('finds who is a proxy by whose answers pass, where nothing is guarded', () => {
    const answers = (match: string) =>
      readInheritedRules(
        parseTable(`{"nftables":[${TO_PROXY_RULE},
          {"rule":{"chain":"before_docker_raw","comment":"answers of proxies","expr":[${match}]}}]}`),
      );
    const address = '{"payload":{"protocol":"ip","field":"saddr"}}';
    const bySource = `{"match":{"op":"==","left":${address},"right":"172.31.250.2"}}`;
    const byBridge = '{"match":{"op":"==","left":{"meta":{"key":"iifname"}},"right":"br-msi"}}';

    assert.deepEqual(answers(bySource), { proxyBridge, proxyAddresses: [A.address] });
    assert.deepEqual(answers(byBridge), { proxyBridge });
  });

  it('does not take the bridge of clients and proxy for that of the proxies', () => {
    const link = '{"match":{"op":"==","left":{"meta":{"key":"iifname"}},"right":"br-link"}}';
    const linkRule = `{"rule":{"chain":"guard","comment":"clients and proxy on one bridge","expr":[${link}]}}`;

    assert.deepEqual(readInheritedRules(parseTable(`{"nftables":[${linkRule}]}`)), {});
    assert.deepEqual(readInheritedRules(parseTable(`{"nftables":[${linkRule},${TO_PROXY_RULE}]}`)), {
      proxyBridge,
      proxyAddresses: [],
    });
  });

  it('finds the stand-in, which is no proxy', () => {
    const standIn = { address: '172.31.250.1', port: 9181 };
    const waiting = table({ target: '[80,{"concat":["172.31.250.1",9181]}]', standInRule: STAND_IN_RULE });
    const served = table({ target: '[80,{"concat":["172.31.250.2",80]}]', standInRule: STAND_IN_RULE });

    assert.deepEqual(readInheritedRules(waiting).standIn, standIn);
    assert.equal(readInheritedRules(waiting).target, undefined);
    assert.deepEqual(readInheritedRules(served).target, A);
  });

  it('finds nothing in a table without bridge', () => {
    assert.deepEqual(readInheritedRules(parseTable('{"nftables":[]}')), {});
  });
});

describe('withInheritedRules', () => {
  const inherited = { proxyBridge, proxyAddresses: [A.address], target: A };
  const unknown: VmRulesWanted = { guard: 'audit', redirect: true };

  it('takes all of them while the proxy network is not known', () => {
    assert.deepEqual(withInheritedRules(unknown, inherited), { ...unknown, ...inherited });
  });

  it('keeps the target while it is a proxy', () => {
    const wanted = { ...unknown, proxyBridge, proxyAddresses: [B.address, A.address] };

    assert.deepEqual(withInheritedRules(wanted, inherited), { ...wanted, target: A });
  });

  const unmoved: Record<string, VmRulesWanted> = {
    'another one is wanted': { ...unknown, proxyBridge, proxyAddresses: [A.address, B.address], target: B },
    'it is no proxy': { ...unknown, proxyBridge, proxyAddresses: [B.address] },
    'nobody says who is a proxy': { ...unknown, proxyBridge },
  };
  for (const [condition, wanted] of Object.entries(unmoved)) {
    it(`does not keep the target when ${condition}`, () => {
      assert.deepEqual(withInheritedRules(wanted, inherited), wanted);
    });
  }
});
