import { formatIdentity, tokenVerdict } from '@msi-proxy/shared';
import { failed, ok, skipped, type Check } from '../check.ts';

/** What its policy says to a request for a token. */
export const verdictCheck: Check = {
  id: 'verdict',
  title: 'Policy verdict',
  about: 'container',
  needs: ['policy-labels'],
  async run({ client, subject: { resource, identity } }) {
    const found = await client();
    if (found === undefined) return skipped('it is not a client');
    if (found.plan.kind === 'refuse') return skipped('it is refused as a whole');
    if (resource === undefined && identity === undefined) {
      return skipped(
        'name what it asks for: --resource https://vault.azure.net, and --identity where it names one',
      );
    }
    const verdict = tokenVerdict(found.plan.policy, {
      ...(resource !== undefined && { resource }),
      ...(identity !== undefined && { identity }),
    });
    const asked = [
      resource === undefined ? 'a token' : `a token for ${resource}`,
      identity === undefined ? 'naming no identity' : `of ${formatIdentity(identity)}`,
    ].join(', ');
    if (!verdict.allowed) {
      return failed(
        `${asked}: refused, ${verdict.reason}`,
        `Start it again with another label ${verdict.label} (docs/policy.md).`,
      );
    }
    const used =
      verdict.identity === undefined ? 'IMDS chooses the identity' : `as ${formatIdentity(verdict.identity)}`;
    return ok(`${asked}: allowed, ${used}`);
  },
};
