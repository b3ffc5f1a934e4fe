import assert from 'node:assert/strict';
import { silentLogger, watchedLogger } from '@msi-proxy/shared';

describe('a watched logger', () => {
  it('tells of failures that are logged as warning or error, also by its children, and writes all lines', () => {
    const failures: unknown[] = [];
    const lines: string[] = [];
    const logger = watchedLogger(
      {
        ...silentLogger,
        error: message => lines.push(message),
        warn: message => lines.push(message),
        info: message => lines.push(message),
        debug: message => lines.push(message),
        child: () => ({ ...silentLogger, warn: message => lines.push(message) }),
      },
      err => failures.push(err),
    );
    logger.error('one', { err: 1 });
    logger.warn('two', { err: 2 });
    logger.warn('three');
    logger.info('four', { err: 4 });
    logger.debug('five', { err: 5 });
    logger.child({}).warn('six', { err: 6 });
    assert.deepEqual(failures, [1, 2, 6]);
    assert.deepEqual(lines, ['one', 'two', 'three', 'four', 'five', 'six']);
  });
});
