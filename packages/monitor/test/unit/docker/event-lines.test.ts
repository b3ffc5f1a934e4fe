import assert from 'node:assert/strict';
import { silentLogger, type Logger } from '@msi-proxy/shared';
import { EventLines } from '../../../src/docker/event-lines.ts';

const ID = 'f'.repeat(64);

function line(overrides: object = {}): string {
  const event = {
    Type: 'container',
    Action: 'start',
    Actor: { ID, Attributes: { name: 'zürich', image: 'client' } },
    scope: 'local',
    time: 1_767_225_600,
    timeNano: 1_767_225_600_123_456_800,
  };
  return `${JSON.stringify({ ...event, ...overrides })}\n`;
}

describe('EventLines', () => {
  let warnings: string[];
  let lines: EventLines;

  beforeEach(() => {
    warnings = [];
    const logger: Logger = { ...silentLogger, warn: message => warnings.push(message) };
    lines = new EventLines(logger);
  });

  it('reads an event', () => {
    const [event] = lines.push(Buffer.from(line()));
    assert.equal(event?.type, 'container');
    assert.equal(event.action, 'start');
    assert.equal(event.actorId, ID);
    assert.equal(event.attributes['name'], 'zürich');
    assert.equal(event.timeNano, 1_767_225_600_123_456_800);
  });

  it('reads the same events wherever the stream is cut', () => {
    const bytes = Buffer.from(line() + line({ Action: 'die' }));
    for (let cut = 0; cut <= bytes.length; cut++) {
      const split = new EventLines(silentLogger);
      const events = [...split.push(bytes.subarray(0, cut)), ...split.push(bytes.subarray(cut))];
      assert.deepEqual(
        events.map(({ action, attributes }) => [action, attributes['name']]),
        [
          ['start', 'zürich'],
          ['die', 'zürich'],
        ],
        `cut at ${cut}`,
      );
    }
  });

  it('reads events without the fields that are gone since API 1.52, and ignores them where they are there', () => {
    const legacy = line({ status: 'die', id: 'a'.repeat(64), from: 'other' });
    assert.deepEqual(lines.push(Buffer.from(legacy)), new EventLines(silentLogger).push(Buffer.from(line())));
  });

  for (const [what, text] of [
    ['half a line', '{"Type":"container","Acti\n'],
    ['JSON that is no object', '[1]\n'],
    ['an event of nothing', line({ Actor: {} })],
    ['an event of no type', line({ Type: 7 })],
  ] as const) {
    it(`passes over ${what} with a warning, and reads on`, () => {
      const events = lines.push(Buffer.from(text + line()));
      assert.equal(events.length, 1);
      assert.equal(warnings.length, 1);
    });
  }

  it('passes over empty lines in silence', () => {
    assert.deepEqual(lines.push(Buffer.from('\n\r\n')), []);
    assert.deepEqual(warnings, []);
  });

  it('passes over a line without end once, whatever its length, and reads on after it', () => {
    const piece = Buffer.alloc(512 * 1024, 'x');
    for (let pieces = 0; pieces < 10; pieces++) assert.deepEqual(lines.push(piece), []);
    assert.equal(lines.push(Buffer.from(`\n${line()}`)).length, 1);
    assert.equal(warnings.length, 1);
  });

  it('keeps attributes that are named like members of objects', () => {
    const hostile = line().replace('"name":"zürich"', '"__proto__":"x","constructor":"y"');
    const [event] = lines.push(Buffer.from(hostile));
    assert.deepEqual(Object.entries(event?.attributes ?? {}), [
      ['__proto__', 'x'],
      ['constructor', 'y'],
      ['image', 'client'],
    ]);
    assert.ok(event !== undefined && !('toString' in event.attributes));
  });
});
