import assert from 'node:assert/strict';
import type { TokenSummary } from '@msi-proxy/shared';
import { NO_TOKENS, readKeptTokens } from '../../../src/control/kept-tokens.ts';

const NOW = Date.parse('2026-01-01T01:00:00.000Z');
const SUMMARY: TokenSummary = {
  identity: 'system',
  resource: 'https://vault.azure.net',
  ageSeconds: 600,
  expiresAt: '2026-01-02T00:50:00.000Z',
  hits: 4,
  id: 7,
  containerIds: ['one', 'other'],
};

describe('the tokens that a proxy tells', () => {
  it('are read with their holders', () => {
    const older = { ...SUMMARY, id: 3, resource: 'https://a.example', containerIds: ['one'] };
    const { tokens, byContainer } = readKeptTokens([SUMMARY, older], NO_TOKENS, NOW);
    assert.deepEqual(tokens[1], {
      id: 7,
      identity: 'system',
      resource: 'https://vault.azure.net',
      receivedAt: '2026-01-01T00:50:00.000Z',
      expiresAt: '2026-01-02T00:50:00.000Z',
      hits: 4,
    });
    assert.deepEqual(
      [...byContainer],
      [
        ['one', [3, 7]],
        ['other', [7]],
      ],
    );
  });

  it('of version 0.1 are shown without holders', () => {
    const { id: _id, containerIds: _containerIds, ...old } = SUMMARY;
    const { tokens, byContainer } = readKeptTokens([old, old], NO_TOKENS, NOW);
    assert.deepEqual(
      tokens.map(({ id }) => id),
      [0, 1],
    );
    assert.equal(byContainer.size, 0);
  });

  it('keep their times when these differ only by the whole seconds in which ages are told', () => {
    const before = readKeptTokens([SUMMARY], NO_TOKENS, NOW);
    const again = { ...SUMMARY, ageSeconds: 601, expiresAt: '2026-01-02T00:50:01.000Z' };
    assert.deepEqual(readKeptTokens([again], before, NOW + 1_900).tokens, before.tokens);
    const renewed = { ...SUMMARY, ageSeconds: 0, expiresAt: '2026-01-02T01:00:00.000Z' };
    assert.equal(readKeptTokens([renewed], before, NOW).tokens[0]?.expiresAt, renewed.expiresAt);
  });

  it('are left out when they have no form that can be shown', () => {
    const odd = [
      { ...SUMMARY, expiresAt: 'soon' },
      { ...SUMMARY, ageSeconds: Number.NaN },
    ];
    assert.deepEqual(readKeptTokens(odd, NO_TOKENS, NOW).tokens, []);
  });
});
