import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { createLogger, debugSwitch } from '@msi-proxy/shared';

describe('debugSwitch', () => {
  for (const { own, other } of [
    { own: 'warn', other: 'debug' },
    { own: 'debug', other: 'info' },
  ] as const) {
    it(`switches from ${own} to ${other} and back, and says so`, () => {
      const stream = new PassThrough({ encoding: 'utf8' });
      let text = '';
      stream.on('data', (chunk: string) => (text += chunk));
      const logger = createLogger({ component: 'proxy', level: own, stream });
      const toggle = debugSwitch(logger, own);
      const writesDebug = () => {
        const before = text.length;
        logger.debug('a detail');
        return text.length > before;
      };
      assert.equal(writesDebug(), own === 'debug');
      toggle();
      assert.equal(writesDebug(), other === 'debug');
      toggle();
      assert.equal(writesDebug(), own === 'debug');
      assert.equal(text.match(/The log level was switched/g)?.length, 2);
    });
  }
});
