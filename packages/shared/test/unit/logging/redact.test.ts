import assert from 'node:assert/strict';
import { MsiProxyError, redactText, redactValue } from '@msi-proxy/shared';

const JWT = 'eyJ0eXAiOiJKV1QifQ.eyJhdWQiOiJ4In0.c2lnbmF0dXJl-_';
const SECRET = 'hunter2';

describe('redaction of text', () => {
  for (const [what, text] of [
    ['a token in a sentence', `got ${JWT}, thanks`],
    ['a token without signature', `got ${JWT.slice(0, 36)}`],
    ['a token in a query that is encoded', `?x=%22${JWT}%22`],
    ['a token behind a letter', `x${JWT}`],
  ] as const) {
    it(`masks ${what}`, () => {
      const redacted = redactText(text);
      assert.ok(redacted.includes('[redacted]'));
      assert.doesNotMatch(redacted, /eyJ|c2lnbmF0dXJl/);
    });
  }

  for (const text of [
    `{"access_token":"${SECRET}","x":1}`,
    `{"access_token": "a, ${SECRET}"}`,
    `{\\"refresh_token\\":\\"a ${SECRET}\\",\\"x\\":1}`,
    `access_token=${SECRET}&x=1`,
    `client_secret='${SECRET}'`,
    `Authorization: Bearer ${SECRET}`,
    `authorization: basic ${SECRET}`,
    `X-IDENTITY-HEADER: ${SECRET}`,
    `"signature" : "${SECRET}"`,
    `password=${SECRET}`,
    `{"password":"a\\"${SECRET}"}`,
    `{"password":"a, ${SECRET} and no end`,
    `{\\"password\\":\\"a, ${SECRET} and no end`,
  ]) {
    it(`masks the value in ${text}`, () => {
      assert.ok(!redactText(text).includes(SECRET), redactText(text));
    });
  }

  it('leaves what is beside a secret', () => {
    assert.equal(redactText('access_token=a&client_id=b'), 'access_token=[redacted]&client_id=b');
    assert.equal(redactText('{"access_token":"a","x":1}'), '{"access_token":[redacted],"x":1}');
  });

  it('masks a token of five parts, and leaves what is beside it', () => {
    assert.equal(redactText(`a.b eyJhbGciOi.a.b.c.d e`), 'a.b [redacted] e');
    assert.equal(redactText(`id:x.eyJ.${JWT}, y`), 'id:x.eyJ.[redacted], y');
  });

  it('shows the beginning of a text that has no end, and no secret at the cut', () => {
    const redacted = redactText(`begin ${'x'.repeat(8_000)} password="a ${SECRET} ${'y'.repeat(1_000_000)}"`);
    assert.match(redacted, /^begin x+ password=\[redacted\]$/);
    assert.match(redactText('x'.repeat(1_000_000)), /^x{8192}…$/);
  });

  for (const hostile of [
    'eyJ',
    'eyJeyJeyJ.',
    '.',
    '\\',
    'access_token=\\"\\\\',
    'access_token="\\',
    "password='",
    'password',
    'authorization: bearer ',
    'password= ',
    'password\\\\',
  ]) {
    it(`takes no time for long text of ${hostile}`, () => {
      const text = hostile.repeat(1_000_000 / hostile.length);
      const tail = `password=${hostile.at(-1)!.repeat(1_000_000)}`;
      for (let times = 0; times < 100; times++) redactText(times % 2 === 0 ? text : tail);
    });
  }

  for (const text of ['', 'eyJ is how they begin', 'a.b.c', 'client_id=1', 'authorisation by label']) {
    it(`leaves "${text}"`, () => assert.equal(redactText(text), text));
  }
});

describe('redaction of values', () => {
  it('masks secrets by name at any place', () => {
    assert.deepEqual(
      redactValue({
        headers: [{ Authorization: SECRET, accept: '*' }],
        body: { accessToken: SECRET, access_token: 1, deep: { PASSWORD: SECRET, text: `x ${JWT}` } },
      }),
      {
        headers: [{ Authorization: '[redacted]', accept: '*' }],
        body: {
          accessToken: '[redacted]',
          access_token: '[redacted]',
          deep: { PASSWORD: '[redacted]', text: 'x [redacted]' },
        },
      },
    );
  });

  it('shows an unexpected error with its stack, and its causes', () => {
    const cause = Object.assign(new Error(`refused ${JWT}`), { code: 'ECONNREFUSED', request: { SECRET } });
    const shown = redactValue(new TypeError(`bad ${JWT}`, { cause })) as Record<string, unknown>;
    assert.equal(shown['name'], 'TypeError');
    assert.equal(shown['message'], 'bad [redacted]');
    assert.match(String(shown['stack']), /redact\.test\.ts/);
    assert.deepEqual(shown['cause'], { name: 'Error', code: 'ECONNREFUSED', message: 'refused [redacted]' });
    assert.doesNotMatch(JSON.stringify(shown), /eyJ|hunter2/);
  });

  it('shows an expected error by code and details', () => {
    const error = new MsiProxyError('MSI_ENGINE_REQUEST', 'no', { details: { status: 500, body: JWT } });
    assert.deepEqual(redactValue(error), {
      name: 'MsiProxyError',
      code: 'MSI_ENGINE_REQUEST',
      message: 'no',
      details: { status: 500, body: '[redacted]' },
    });
  });

  it('can be written as JSON, whatever comes', () => {
    const cyclic: Record<string, unknown> = { big: 7n, none: undefined, nil: null, at: new Date(0) };
    cyclic['self'] = cyclic;
    cyclic['bytes'] = Buffer.from(SECRET);
    const shown = redactValue(cyclic) as Record<string, unknown>;
    assert.equal(shown['big'], '7');
    assert.equal(shown['at'], '1970-01-01T00:00:00.000Z');
    assert.equal(shown['bytes'], '[7 bytes]');
    assert.match(JSON.stringify(shown), /"\[too deep\]"/);
  });

  it('does not change what it is given', () => {
    const value = { secret: SECRET };
    redactValue(value);
    assert.deepEqual(value, { secret: SECRET });
  });
});
