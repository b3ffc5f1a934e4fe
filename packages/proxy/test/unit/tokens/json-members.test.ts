import assert from 'node:assert/strict';
import fc from 'fast-check';
import { memberSpans } from '../../../src/tokens/json-members.ts';

describe('the finder of JSON members', () => {
  it('finds where the value of each member stands', () => {
    const text = ' { "a" : "x\\"}" ,\n"b":[1,{"c":"]"}],"\\u0064":-1.5e3 , "e":null}';
    const spans = memberSpans(text)!;
    const values = [...spans].map(([name, { start, end }]) => [name, text.slice(start, end)]);
    assert.deepEqual(values, [
      ['a', '"x\\"}"'],
      ['b', '[1,{"c":"]"}]'],
      ['d', '-1.5e3'],
      ['e', 'null'],
    ]);
  });

  it('finds nothing in an empty object', () => {
    assert.equal(memberSpans(' { } ')?.size, 0);
  });

  it('refuses an object that names a member twice, in any spelling', () => {
    assert.equal(memberSpans('{"expires_in":"1","expires\\u005fin":"2"}'), undefined);
  });

  it('finds in any object what JSON.parse finds', () => {
    const object = fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue());
    fc.assert(
      fc.property(object, fc.nat({ max: 3 }), (value, indent) => {
        const text = JSON.stringify(value, undefined, indent);
        const parsed = JSON.parse(text) as Record<string, unknown>;
        const spans = memberSpans(text)!;
        assert.deepEqual([...spans.keys()].sort(), Object.keys(parsed).sort());
        for (const [name, { start, end }] of spans) {
          assert.deepEqual(
            JSON.parse(text.slice(start, end)),
            Object.getOwnPropertyDescriptor(parsed, name)?.value,
          );
        }
      }),
    );
  });
});
