import assert from 'node:assert/strict';
import { describeDifferences, parseTable } from '../../../src/nft/table-reading.ts';

interface RuleOptions {
  readonly comment: string;
  readonly right?: string;
  readonly handle?: number;
  readonly packets?: number;
}

/** As nft 1.0.6 prints it. */
function rule({ comment, right = '169.254.169.254', handle = 1, packets = 0 }: RuleOptions): object {
  const left = { payload: { protocol: 'ip', field: 'daddr' } };
  return {
    rule: {
      family: 'ip',
      table: 't',
      chain: 'guard',
      handle,
      comment,
      expr: [{ match: { op: '==', left, right } }, { counter: { packets, bytes: packets } }, { drop: null }],
    },
  };
}

function listing(...objects: readonly object[]): string {
  return JSON.stringify({
    nftables: [
      { metainfo: { version: '1.0.6' } },
      { table: { family: 'ip', name: 't', handle: 4 } },
      { chain: { family: 'ip', table: 't', name: 'guard', handle: 1, hook: 'forward', prio: -1 } },
      ...objects,
    ],
  });
}

describe('parseTable', () => {
  it("reads a map's elements as nft writes them", () => {
    const elem = [[80, { concat: ['172.31.250.2', 8080] }]];

    const reading = parseTable(listing({ map: { name: 'target', table: 't', handle: 3, elem } }));

    assert.deepEqual(reading.elements.get('target'), ['80 : 172.31.250.2 . 8080']);
  });

  it('has no elements for an empty map', () => {
    const reading = parseTable(listing({ map: { name: 'target', table: 't' } }));

    assert.deepEqual(reading.elements.get('target'), []);
  });

  it('reads what elements of sets have counted', () => {
    const elem = [
      { elem: { val: '172.17.0.2', expires: 3599, counter: { packets: 3, bytes: 87 } } },
      { elem: { val: '172.17.0.3', counter: { packets: 1, bytes: 29 } } },
      '172.17.0.4',
    ];
    const type = 'ipv4_addr';

    const { packets } = parseTable(
      listing({ set: { name: 'stopped', type, elem } }, { set: { name: 'empty', type } }),
    );

    assert.deepEqual(
      [...packets.get('stopped')!],
      [
        ['172.17.0.2', 3],
        ['172.17.0.3', 1],
      ],
    );
    assert.equal(packets.get('empty')?.size, 0);
  });

  for (const output of ['', 'Error', '[]', '{}', '{"nftables":[1]}', '{"nftables":[{"rule":null}]}']) {
    it(`refuses ${JSON.stringify(output)}`, () => {
      assert.throws(() => parseTable(output), { code: 'MSI_WIRING_COMMAND' });
    });
  }
});

describe('describeDifferences', () => {
  const expected = parseTable(listing(rule({ comment: 'one' }), rule({ comment: 'two' })));

  function differences(...objects: readonly object[]): string[] {
    return describeDifferences(expected, parseTable(listing(...objects)));
  }

  it('overlooks handles and counters', () => {
    const two = rule({ comment: 'two', packets: 7 });

    assert.deepEqual(differences(rule({ comment: 'one', handle: 99 }), two), []);
  });

  it('finds a rule that is missing', () => {
    assert.deepEqual(differences(rule({ comment: 'one' })), [
      'the rule "two" of chain guard is missing or was changed',
    ]);
  });

  it('finds a rule that was changed', () => {
    const changed = rule({ comment: 'two', right: '1.2.3.4' });

    assert.deepEqual(differences(rule({ comment: 'one' }), changed), [
      'the rule "two" of chain guard is missing or was changed',
      'chain guard has a rule that is not ours ("two")',
    ]);
  });

  it('finds rules in another order', () => {
    assert.deepEqual(differences(rule({ comment: 'two' }), rule({ comment: 'one' })), [
      'the rules of chain guard are doubled or in another order',
    ]);
  });

  it('finds chains that are not ours', () => {
    const foreign = { chain: { name: 'more', table: 't' } };

    assert.deepEqual(differences(rule({ comment: 'one' }), rule({ comment: 'two' }), foreign), [
      'the chain more is not ours',
    ]);
  });

  it('finds a chain whose hook was changed', () => {
    const actual = listing(rule({ comment: 'one' }), rule({ comment: 'two' })).replace('forward', 'input');

    assert.deepEqual(describeDifferences(expected, parseTable(actual)), ['the chain guard was changed']);
  });
});
