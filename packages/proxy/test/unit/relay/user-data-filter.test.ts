import assert from 'node:assert/strict';
import fc from 'fast-check';
import { withoutUserData } from '../../../src/relay/user-data-filter.ts';

const JSON_TYPE = 'application/json; charset=utf-8';
const SECRET = 'c2VjcmV0LW9mLXRoZS1kZXBsb3ltZW50';

function filtered(body: string, contentType: string | undefined = JSON_TYPE): string | undefined {
  return withoutUserData(Buffer.from(body), contentType)?.toString('utf8');
}

describe('the filter of user data', () => {
  it('passes the very same bytes on when there is nothing to take out', () => {
    // With spaces and numbers that another writer of JSON would write in another way.
    const body = Buffer.from('{ "compute" : { "vmId":"1", "n": 1.0e2, "name": "ü" } }\n');
    assert.equal(withoutUserData(body, JSON_TYPE), body);
    const inValue = Buffer.from('{"compute":{"tags":"about:userData"}}');
    assert.equal(withoutUserData(inValue, JSON_TYPE), inValue);
    const empty = Buffer.alloc(0);
    assert.equal(withoutUserData(empty, JSON_TYPE), empty);
  });

  it('takes out user data and custom data, and leaves everything else', () => {
    const document = {
      compute: { userData: SECRET, customData: SECRET, vmId: '1', tags: [{ name: 'a' }, null, 1] },
      network: { interface: [] },
    };
    assert.deepEqual(JSON.parse(filtered(JSON.stringify(document))!), {
      compute: { vmId: '1', tags: [{ name: 'a' }, null, 1] },
      network: { interface: [] },
    });
  });

  const spellings: [name: string, body: string][] = [
    ['in another case', `{"USERDATA":"${SECRET}"}`],
    ['with escapes in the name', `{"\\u0075ser\\u0044ata":"${SECRET}"}`],
    [
      'with every letter escaped',
      `{"\\u0063\\u0075\\u0073\\u0074\\u006f\\u006d\\u0044\\u0061\\u0074\\u0061":"${SECRET}"}`,
    ],
    ['at the top', `{"userData":"${SECRET}","a":1}`],
    ['deep inside of lists', `[[{"a":[{"userData":{"x":"${SECRET}"}}]}]]`],
    ['twice', `{"userData":"a","userData":"${SECRET}"}`],
    ['as JSON that is called text', `{"compute":{"userData":"${SECRET}"}}`],
    ['below a name that objects have by themselves', `{"__proto__":{"userData":"${SECRET}"}}`],
  ];
  for (const [name, body] of spellings) {
    it(`finds it ${name}`, () => {
      for (const contentType of [JSON_TYPE, 'text/plain', undefined]) {
        const left = filtered(body, contentType);
        assert.ok(left !== undefined && !left.includes(SECRET), `${contentType}: ${left}`);
      }
    });
  }

  it('keeps names that objects have by themselves', () => {
    const left = filtered('{"userData":"x","__proto__":{"a":1},"constructor":2}');
    assert.equal(left, '{"__proto__":{"a":1},"constructor":2}');
  });

  it('takes the names out of a listing', () => {
    assert.equal(
      filtered('azEnvironment\ncustomData\nname\nuserData\nvmId', 'text/plain; charset=utf-8'),
      'azEnvironment\nname\nvmId',
    );
    assert.equal(filtered('userData/\r\nname\r\n', 'text/plain'), 'name\r\n');
  });

  const unreadable: [name: string, body: Buffer][] = [
    ['broken JSON', Buffer.from(`{"userData":"${SECRET}"`)],
    ['JSON after a byte order mark', Buffer.from(`\uFEFF{"userData":"${SECRET}"}`)],
    ['XML', Buffer.from(`<compute><name>vm</name><userData>${SECRET}</userData></compute>`)],
    ['XML with line ends', Buffer.from(`<compute>\n<userData>\n${SECRET}\n</userData>\n</compute>\n`)],
    ['names with values', Buffer.from(`name=vm\nuserData=${SECRET}\n`)],
    ['UTF-16', Buffer.from(`{"userData":"${SECRET}"}`, 'utf16le')],
  ];
  for (const [name, body] of unreadable) {
    for (const contentType of [JSON_TYPE, 'text/plain; charset=utf-8', 'text/xml', undefined]) {
      it(`does not pass on what it cannot read: ${name} as ${contentType}`, () => {
        assert.equal(withoutUserData(body, contentType), undefined);
      });
    }
  }

  it('leaves no secret in any document, and changes nothing else', () => {
    const names = fc.oneof(fc.string(), fc.constantFrom('userData', 'USERdata', 'customData', 'compute'));
    const { document } = fc.letrec(tie => ({
      document: fc.oneof(
        { maxDepth: 4 },
        fc.constant(null),
        fc.integer(),
        fc.string(),
        fc.array(tie('document')),
        fc.dictionary(names, tie('document')),
      ),
    }));
    fc.assert(
      fc.property(document, value => {
        const left = filtered(JSON.stringify(value));
        assert.deepEqual(JSON.parse(left!), JSON.parse(JSON.stringify(value), dropSecrets));
      }),
    );
  });
});

/** The same by other means: JSON.parse's own walk. */
function dropSecrets(name: string, value: unknown): unknown {
  return /^(?:userdata|customdata)$/i.test(name) ? undefined : value;
}
