import assert from 'node:assert/strict';
import { withVersion } from '../../../scripts/lib/version-in-text.ts';

describe('the version in commands and files for deployment', () => {
  it('becomes the new one', () => {
    assert.equal(
      withVersion('proxy:0.1.0 ${TAG:-0.1.0}, --tag 0.1.0.', '0.1.0', '0.2.0'),
      'proxy:0.2.0 ${TAG:-0.2.0}, --tag 0.2.0.',
    );
  });

  it('is not looked for in longer numbers', () => {
    const text = '10.1.0 0.1.0.7 127.0.1.0 0.1.01';
    assert.equal(withVersion(text, '0.1.0', '0.2.0'), text);
  });
});
