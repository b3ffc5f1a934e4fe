import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  encodeMessage,
  MAX_CONTROL_LINE_BYTES,
  MessageDecoder,
  MONITOR_MESSAGE_TYPES,
  PROXY_MESSAGE_TYPES,
  type MonitorMessage,
  type ProxyMessage,
} from '@msi-proxy/shared';

const MESSAGES: readonly MonitorMessage[] = [
  { type: 'hello', protocol: 1, sessionId: 's', monitorVersion: '0' },
  {
    type: 'delta',
    revision: 2,
    removed: ['172.17.0.2'],
    upserted: [
      {
        address: '172.17.0.2',
        containerId: 'c',
        name: 'grüße-😀-\u2028',
        startedAt: '2026-01-01T00:00:00Z',
        grant: { kind: 'refused', reason: 'line\nbreak' },
      },
    ],
  },
  { type: 'heartbeat', sessionId: 's' },
];

const decoder = (maxLineBytes = MAX_CONTROL_LINE_BYTES, onUnknownType?: (type: string) => void) =>
  new MessageDecoder<MonitorMessage>(MONITOR_MESSAGE_TYPES, {
    maxLineBytes,
    ...(onUnknownType !== undefined && { onUnknownType }),
  });

describe('control lines', () => {
  const bytes = Buffer.from(MESSAGES.map(encodeMessage).join(''));

  it('are one line each, whatever is in the message', () => {
    assert.equal(bytes.filter(byte => byte === 0x0a).length, MESSAGES.length);
  });

  it('are read however the bytes are cut, inside a character too', () => {
    for (let cut = 0; cut <= bytes.length; cut += 1) {
      const reader = decoder();
      const read = [...reader.push(bytes.subarray(0, cut)), ...reader.push(bytes.subarray(cut))];
      assert.deepEqual(read, MESSAGES, `cut at ${cut}`);
    }
  });

  it('are read in any pieces', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 40 })), sizes => {
        const reader = decoder();
        const read: MonitorMessage[] = [];
        let start = 0;
        for (const size of [...sizes, bytes.length]) {
          read.push(...reader.push(bytes.subarray(start, start + size)));
          start += size;
        }
        assert.deepEqual(read, MESSAGES);
      }),
    );
  });

  it('wait for their end', () => {
    const reader = decoder();
    assert.deepEqual(reader.push(bytes.subarray(0, bytes.indexOf(0x0a))), []);
    assert.deepEqual(reader.push(Buffer.from('\n')), [MESSAGES[0]]);
  });

  it('may be empty', () => {
    assert.deepEqual(decoder().push(Buffer.from('\n \r\n\n')), []);
  });

  it('end the session when they are too long, before they end', () => {
    const line = '{"type":"heartbeat"}';
    assert.equal(decoder(line.length).push(Buffer.from(`${line}\n`)).length, 1);
    const reader = decoder(line.length - 1);
    reader.push(Buffer.from(line.slice(0, -1)));
    assert.throws(() => reader.push(Buffer.from('}')), {
      code: 'MSI_CONTROL_PROTOCOL',
      message: `a control line is longer than ${line.length - 1} bytes`,
    });
  });

  it('are counted one by one against the limit', () => {
    const line = Buffer.from('{"type":"heartbeat"}\n');
    const many = Buffer.concat(Array.from({ length: 100 }, () => line));
    assert.equal(decoder(line.length).push(many).length, 100);
    assert.ok(MAX_CONTROL_LINE_BYTES > many.length);
  });

  for (const line of ['x', '{', 'null', '7', '"hello"', '[]', '{}', '{"type":7}']) {
    it(`end the session when they are no message: ${line}`, () => {
      assert.throws(() => decoder().push(Buffer.from(`${line}\n`)), { code: 'MSI_CONTROL_PROTOCOL' });
    });
  }

  it('of types that this version does not know are left out, and told once each', () => {
    const noted: string[] = [];
    const reader = decoder(undefined, type => noted.push(type));
    const unknown = '{"type":"newer","more":[1]}\n{"type":"constructor"}\n';
    const read = reader.push(Buffer.from(unknown + encodeMessage(MESSAGES[0]!) + unknown));
    assert.deepEqual(read, [MESSAGES[0]]);
    assert.deepEqual(noted, ['newer', 'constructor']);
  });

  it('of ever new types are told so often and no more', () => {
    const noted: string[] = [];
    const reader = decoder(undefined, type => noted.push(type));
    for (let count = 0; count < 100; count += 1) {
      assert.deepEqual(reader.push(Buffer.from(`{"type":"\\u001b[${count}"}\n`)), []);
    }
    assert.equal(noted.length, 20);
    assert.equal(noted[0], '\\u{1b}[0');
  });

  it('say nothing of their content in errors', () => {
    assert.throws(
      () => decoder().push(Buffer.from('{"type":{"eyJsecret":1}}\n')),
      (error: Error) => !error.message.includes('eyJsecret'),
    );
  });

  it('of the proxy are others than those of the monitor', () => {
    const reader = new MessageDecoder<ProxyMessage>(PROXY_MESSAGE_TYPES);
    assert.deepEqual(reader.push(Buffer.from('{"type":"ack","revision":3}\n')), [
      { type: 'ack', revision: 3 },
    ]);
    assert.deepEqual(reader.push(Buffer.from(encodeMessage(MESSAGES[0]!))), []);
  });
});
