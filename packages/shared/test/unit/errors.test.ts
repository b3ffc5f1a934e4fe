import assert from 'node:assert/strict';
import { codeOf, ERROR_CODES, messageOf, MsiProxyError } from '@msi-proxy/shared';

describe('errors', () => {
  it('have a code, details and a cause', () => {
    const cause = new Error('why');
    const error = new MsiProxyError('MSI_INTERNAL', 'what', { cause, details: { port: 80 } });
    assert.equal(error.name, 'MsiProxyError');
    assert.deepEqual([error.code, error.message, error.details], ['MSI_INTERNAL', 'what', { port: 80 }]);
    assert.equal(error.cause, cause);
    assert.equal('cause' in new MsiProxyError('MSI_INTERNAL', 'what'), false);
  });

  it('have a code, whoever threw them', () => {
    assert.equal(codeOf(new MsiProxyError('MSI_USAGE', '')), 'MSI_USAGE');
    assert.equal(codeOf(Object.assign(new Error(), { code: 'ENOENT' })), 'ENOENT');
    for (const thrown of [new Error(), 'ENOENT', null, undefined, { code: 7 }]) {
      assert.equal(codeOf(thrown), undefined);
    }
  });

  it('have a message, whatever was thrown', () => {
    assert.equal(messageOf(new Error('a')), 'a');
    assert.equal(messageOf('b'), 'b');
    assert.equal(messageOf(null), 'null');
  });

  it('all say what they mean and what to do', () => {
    for (const [code, { meaning, remedy }] of Object.entries(ERROR_CODES)) {
      assert.match(code, /^MSI_[A-Z_]+$/);
      assert.match(meaning, /^[A-Z].*\.$/, code);
      assert.match(remedy, /^[A-Z].*\.$/, code);
    }
  });
});
