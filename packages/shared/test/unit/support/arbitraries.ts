import fc from 'fast-check';
import {
  ENDPOINT_GROUPS,
  ENDPOINTS_LABEL,
  IDENTITIES_LABEL,
  IDENTITY_LABEL,
  parseClientPolicy,
  RESOURCES_LABEL,
  type ClientPolicy,
} from '@msi-proxy/shared';

// Few ids, so that policies meet.
const guid = fc.constantFrom(
  'aaaaaaaa-0000-4000-8000-000000000001',
  'AAAAAAAA-0000-4000-8000-000000000001',
  'bbbbbbbb-0000-4000-8000-000000000002',
);

/** An identity in the grammar of the labels. */
export const identityText = fc.oneof(
  fc.constant('system'),
  guid,
  guid.map(id => `object:${id}`),
  guid.map(
    id =>
      `/subscriptions/${id}/resourceGroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-a`,
  ),
);

/** A token audience, in the spellings that requests have. */
export const audience = fc.constantFrom(
  'https://a',
  'https://a/',
  'HTTPS://A',
  'https://a//',
  'https://a/b',
  'https://a/B',
  'https://ab',
  'https://ab/',
  'https://a.evil',
  'https://b/',
  'api://a/b',
  'aaaaaaaa-0000-4000-8000-000000000001',
  'AAAAAAAA-0000-4000-8000-000000000001',
);

/** An audience pattern: an audience, or the beginning of one with a star. */
export const patternText = fc.oneof(
  audience,
  fc.tuple(audience, fc.nat({ max: 12 })).map(([text, length]) => `${text.slice(0, length + 1)}*`),
);

/** A policy, read from labels as a container would carry them. */
export const policy: fc.Arbitrary<ClientPolicy> = fc
  .record(
    {
      [IDENTITY_LABEL]: identityText,
      [IDENTITIES_LABEL]: fc.oneof(fc.constant('*'), list(identityText)),
      [RESOURCES_LABEL]: fc.oneof(fc.constant('*'), list(patternText)),
      [ENDPOINTS_LABEL]: list(fc.constantFrom(...ENDPOINT_GROUPS)),
    },
    { requiredKeys: [] },
  )
  .map(labels => {
    const result = parseClientPolicy(labels);
    if (!result.ok) throw new Error(JSON.stringify(result.problems));
    return result.policy;
  });

function list(item: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc.array(item, { minLength: 1, maxLength: 4 }).map(items => items.join());
}
