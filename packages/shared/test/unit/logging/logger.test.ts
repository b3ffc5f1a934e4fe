import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { createLogger, silentLogger, type Logger, type LogLevel } from '@msi-proxy/shared';

const CONTAINER_ID = '0123456789abcdef'.repeat(4);

function capture(level?: LogLevel): {
  logger: Logger;
  lines: () => Record<string, unknown>[];
  text: () => string;
} {
  const stream = new PassThrough({ encoding: 'utf8' });
  let text = '';
  stream.on('data', (chunk: string) => (text += chunk));
  const logger = createLogger({ component: 'proxy', stream, ...(level && { level }) });
  const lines = () =>
    text
      .split('\n')
      .filter(line => line !== '')
      .map(line => JSON.parse(line) as Record<string, unknown>);
  return { logger, lines, text: () => text };
}

describe('the logger', () => {
  it('writes one JSON object a line, with the time in UTC', () => {
    const { logger, lines, text } = capture();
    logger.info('one\ntwo', { status: 200, containerId: CONTAINER_ID });
    logger.error('three');
    const [first, second] = lines();
    assert.equal(text().match(/\n/g)?.length, 2);
    assert.deepEqual(Object.keys(first!), ['time', 'level', 'msg', 'component', 'containerId', 'status']);
    assert.match(String(first!['time']), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    assert.deepEqual(
      { ...first, time: '' },
      {
        time: '',
        level: 'info',
        msg: 'one\ntwo',
        component: 'proxy',
        containerId: '0123456789ab',
        status: 200,
      },
    );
    assert.equal(second!['level'], 'error');
  });

  it('adds the fields of its ancestors, the nearest first', () => {
    const { logger, lines } = capture();
    const child = logger.child({ containerId: CONTAINER_ID, method: 'host' }).child({ method: 'nat' });
    child.warn('wired', { millis: 6 });
    logger.warn('other');
    assert.equal(lines()[0]!['containerId'], '0123456789ab');
    assert.equal(lines()[0]!['method'], 'nat');
    assert.equal(lines()[0]!['millis'], 6);
    assert.equal(lines()[1]!['containerId'], undefined);
  });

  it('writes from its level on, also when it is changed while running', () => {
    const { logger, lines } = capture('warn');
    const child = logger.child({});
    for (const each of [logger, child]) {
      each.debug('debug');
      each.info('info');
      each.warn('warn');
      each.error('error');
    }
    child.setLevel('debug');
    logger.debug('now');
    assert.deepEqual(
      lines().map(line => line['msg']),
      ['warn', 'error', 'warn', 'error', 'now'],
    );
  });

  it('masks secrets in messages, fields and errors', () => {
    const { logger, text } = capture();
    const jwt = 'eyJ0eXAiOiJKV1QifQ.eyJhdWQiOiJ4In0.c2lnbmF0dXJl';
    logger.info(`token ${jwt}`, { access_token: 'hunter2', nested: { text: jwt } });
    logger.child({ password: 'hunter2' }).error('failed', { err: new Error(jwt, { cause: new Error(jwt) }) });
    assert.doesNotMatch(text(), /eyJ|hunter2/);
    assert.equal(text().match(/\[redacted\]/g)!.length >= 6, true);
  });

  it('writes what is no error as it is', () => {
    const { logger, lines } = capture();
    logger.error('failed', { err: 'thrown text', count: 7n });
    assert.equal(lines()[0]!['err'], 'thrown text');
    assert.equal(lines()[0]!['count'], '7');
  });

  it('can be silent', () => {
    silentLogger.child({ containerId: CONTAINER_ID }).error('nothing');
  });
});
