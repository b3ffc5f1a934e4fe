import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { controlLogLevel, createLogger, type LogLevel } from '@msi-proxy/shared';

function controlled(own: LogLevel) {
  const stream = new PassThrough({ encoding: 'utf8' });
  let text = '';
  stream.on('data', (chunk: string) => (text += chunk));
  const logger = createLogger({ component: 'proxy', stream });
  const level = controlLogLevel(logger, own);
  const writesDebug = () => {
    const before = text.length;
    logger.debug('a detail');
    return text.length > before;
  };
  return { level, writesDebug, text: () => text };
}

describe('the log level', () => {
  for (const { own, other } of [
    { own: 'warn', other: 'debug' },
    { own: 'debug', other: 'info' },
  ] as const) {
    it(`is switched from ${own} to ${other} and back, which is said`, () => {
      const { level, writesDebug, text } = controlled(own);
      assert.equal(writesDebug(), own === 'debug');
      level.toggle();
      assert.equal(writesDebug(), other === 'debug');
      level.toggle();
      assert.equal(writesDebug(), own === 'debug');
      assert.equal(text().match(/The log level was switched/g)?.length, 2);
    });
  }

  it('is another one from the moment when the settings say so, whatever was switched', () => {
    const { level, writesDebug } = controlled('warn');
    level.toggle();
    level.setOwnLevel('warn');
    assert.ok(writesDebug(), 'the setting did not change');
    level.setOwnLevel('error');
    assert.ok(!writesDebug());
    level.setOwnLevel('debug');
    assert.ok(writesDebug());
    level.toggle();
    assert.ok(!writesDebug());
  });
});
