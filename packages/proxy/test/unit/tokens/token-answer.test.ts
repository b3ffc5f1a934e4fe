import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { wireText } from '../../../src/server/send-answer.ts';
import { TokenAnswer } from '../../../src/tokens/token-answer.ts';
import { upstreamAnswer } from '../support/fake-imds.ts';
import { tokenText } from '../support/token-text.ts';

const NOW_MILLIS = Date.parse('2026-01-01T00:00:00.000Z');
const DATE = 'Thu, 01 Jan 2026 00:01:40 GMT';

function read(body: string, options: Parameters<typeof upstreamAnswer>[1] = {}): TokenAnswer | undefined {
  return TokenAnswer.read(upstreamAnswer(body, options), NOW_MILLIS);
}

function bodyAfter(body: string, elapsedSeconds: number): string {
  return read(body)!.after(elapsedSeconds, DATE).body.toString();
}

describe('a token answer', () => {
  it('is given later with other bytes only where it counts seconds, as texts where IMDS wrote texts', () => {
    const body =
      '{"access_token":"a","client_id":"c",  "expires_in":"3600","expires_on":"1767229200",\n' +
      '"ext_expires_in":"86399","resource":"r","refresh_in": 1800,"token_type":"Bearer"}';
    assert.equal(
      bodyAfter(body, 100),
      body.replace('"3600"', '"3500"').replace('"86399"', '"86299"').replace(' 1800', ' 1700'),
    );
    assert.equal(bodyAfter(body, 0), body);
  });

  it('never counts below zero', () => {
    assert.match(bodyAfter(tokenText({ expires_in: '90', ext_expires_in: 10 }), 60), /"ext_expires_in":0\b/);
  });

  it('keeps what is no number as it is', () => {
    assert.match(bodyAfter(tokenText({ ext_expires_in: '' }), 60), /"ext_expires_in":""/);
  });

  it('has the length of its body, the date of the day, and no trace of the first exchange', () => {
    const answer = read(tokenText({ expires_in: '1000' }))!.after(1, DATE);
    assert.equal(answer.contentLength, String(answer.body.length));
    const names = answer.rawHeaders.filter((_, index) => index % 2 === 0);
    assert.deepEqual(names, ['Date', 'Content-Type', 'Server', 'Content-Length']);
    assert.equal(answer.rawHeaders[1], DATE);
  });

  it('as it was received keeps everything', () => {
    const received = upstreamAnswer(tokenText());
    assert.equal(TokenAnswer.read(received, NOW_MILLIS)!.original, received);
  });

  it('is given later with every character as it was, also those of several bytes', () => {
    const body = tokenText({ resource: 'https://bücher.example/€', expires_in: '1000' });
    assert.equal(bodyAfter(body, 1), body.replace('"1000"', '"999"').replace('"86399"', '"86398"'));
  });

  it('counts every form in which it may be held, so that what is kept has the limit that is set', () => {
    const answer = read(tokenText({ access_token: 'x'.repeat(2_000) }))!;
    const rendered = answer.after(1, DATE);
    const held = [
      answer.original.body,
      wireText(answer.original, false),
      rendered.body,
      rendered.body.toString('latin1'),
      wireText(rendered, false),
      wireText(rendered, true),
    ];
    const bytes = held.reduce((sum, { length }) => sum + length, 0);
    assert.ok(answer.sizeBytes >= bytes, `${answer.sizeBytes} counted, ${bytes} held`);
  });

  it('holds what it repeats once', () => {
    const received = upstreamAnswer(tokenText({ resource: 'before' }));
    const answer = TokenAnswer.read(received, NOW_MILLIS)!;
    received.body.write('after!', received.body.indexOf('before'));
    assert.match(answer.after(1, DATE).body.toString(), /after!/);
  });

  it('knows its token by its hash, and by no other', () => {
    const answer = read(tokenText({ access_token: 'secret' }))!;
    const hash = createHash('sha256').update('secret').digest('hex');
    assert.ok(answer.isToken(hash));
    assert.ok(answer.isToken(hash.toUpperCase()));
    assert.ok(!answer.isToken(createHash('sha256').update('other').digest('hex')));
  });

  it('takes numbers for lifetimes too, and expires_on where expires_in is missing', () => {
    assert.equal(read(tokenText({ expires_in: 77 }))?.expiresInSeconds, 77);
    const expiresOn = String(NOW_MILLIS / 1_000 + 55);
    assert.equal(read(tokenText({ expires_in: undefined, expires_on: expiresOn }))?.expiresInSeconds, 55);
  });

  const unusable: [name: string, body: string, options?: Parameters<typeof upstreamAnswer>[1]][] = [
    ['another status', tokenText(), { status: 400 }],
    ['what is no JSON', '<html></html>'],
    ['a body that was cut', tokenText().slice(0, -2)],
    ['an array', '[]'],
    ['no token', tokenText({ access_token: undefined })],
    ['an empty token', tokenText({ access_token: '' })],
    ['a token that is no text', tokenText({ access_token: 1 })],
    ['no lifetime', tokenText({ expires_in: undefined, expires_on: undefined })],
    ['a lifetime that is no number', tokenText({ expires_in: 'soon', expires_on: '' })],
    ['a lifetime that is over', tokenText({ expires_in: '0' })],
    ['a negative lifetime', tokenText({ expires_in: '-5', expires_on: undefined })],
    ['a member that is there twice', tokenText().replace('{', '{"expires_in":"9",')],
  ];
  for (const [name, body, options] of unusable) {
    it(`is not ${name}`, () => {
      assert.equal(read(body, options), undefined);
    });
  }
});
