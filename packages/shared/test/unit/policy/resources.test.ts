import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  canonicalResource,
  formatResourcePattern,
  matchesResource,
  parseResourcePattern,
} from '@msi-proxy/shared';
import { audience, patternText } from '../support/arbitraries.ts';

function matches(pattern: string, resource: string): boolean {
  const parsed = parseResourcePattern(pattern);
  assert.ok(parsed, pattern);
  return matchesResource(parsed, resource);
}

describe('audience patterns', () => {
  for (const [pattern, resource] of [
    ['https://vault.azure.net', 'https://vault.azure.net'],
    ['https://vault.azure.net', 'https://vault.azure.net/'],
    ['https://vault.azure.net/', 'HTTPS://Vault.Azure.NET'],
    ['https://*', 'https://anything/at/all'],
    ['https://vault.azure.net/*', 'https://vault.azure.net'],
    ['https://vault.azure.net/*', 'https://vault.azure.net/keys'],
    ['api://app/Read', 'API://APP/Read'],
    ['0A000000-0000-4000-8000-000000000001', '0a000000-0000-4000-8000-000000000001'],
  ] as const) {
    it(`"${pattern}" covers ${resource}`, () => assert.ok(matches(pattern, resource)));
  }

  for (const [pattern, resource] of [
    ['https://vault.azure.net', 'https://vault.azure.net/keys'],
    ['https://vault.azure.net', 'https://vault.azure.net.evil.example'],
    ['https://vault.azure.net', 'https://vault.azure.net//'],
    ['https://vault.azure.net', 'http://vault.azure.net'],
    ['https://vault.azure.net', ' https://vault.azure.net'],
    ['https://vault.azure.net/*', 'https://vault.azure.net.evil.example'],
    ['https://vault.azure.net/*', 'https://vault.azure.netevil'],
    ['api://app/Read', 'api://app/read'],
    ['https://vault.azure.net', ''],
  ] as const) {
    it(`"${pattern}" does not cover "${resource}"`, () => assert.ok(!matches(pattern, resource)));
  }

  it('with a star cover whatever begins with them', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[a-z/.-]{0,10}$/), rest => {
        assert.ok(matches('https://a/b*', `https://a/b${rest}`));
      }),
    );
  });

  it('read back as they are written', () => {
    fc.assert(
      fc.property(patternText, text => {
        const parsed = parseResourcePattern(text);
        assert.ok(parsed);
        assert.deepEqual(parseResourcePattern(formatResourcePattern(parsed)), parsed);
      }),
    );
  });

  it('compare a form that does not change when it is taken again', () => {
    fc.assert(
      fc.property(fc.oneof(audience, fc.string()), text => {
        assert.equal(canonicalResource(canonicalResource(text)), canonicalResource(text));
      }),
    );
  });
});
