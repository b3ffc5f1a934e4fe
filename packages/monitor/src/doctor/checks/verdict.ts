import {
  formatIdentity,
  IDENTITY_LABEL,
  tokenVerdict,
  type ClientPolicy,
  type ProxyCheck,
} from '@msi-proxy/shared';
import { failed, ok, skipped, warning, type Check } from '../check.ts';
import type { Subject } from '../facts.ts';

/** What its policy says to a request for a token. */
export const verdictCheck: Check = {
  id: 'verdict',
  title: 'Policy verdict',
  about: 'container',
  needs: ['policy-labels'],
  async run({ client, proxyCheck, subject }) {
    const found = await client();
    if (found === undefined) return skipped('it is not a client');
    if (found.plan.kind === 'refuse') return skipped('it is refused as a whole');
    const { resource, identity } = subject;
    if (resource === undefined && identity === undefined) {
      return skipped(
        'name what it asks for: --resource https://vault.azure.net, and --identity where it names one',
      );
    }
    // Without a proxy, the labels alone are judged.
    const settings = await proxyCheck().then(
      ({ policy }) => policy,
      () => undefined,
    );
    const asked = [
      resource === undefined ? 'a token' : `a token for ${resource}`,
      identity === undefined ? 'naming no identity' : `of ${formatIdentity(identity)}`,
    ].join(', ');
    const verdict = judge(found.plan.policy, subject, settings);
    if (verdict.allowed) {
      const used =
        verdict.identity === undefined
          ? 'IMDS chooses the identity'
          : `as ${formatIdentity(verdict.identity)}`;
      return ok(`${asked}: allowed, ${used}`);
    }
    const remedy = `Start it again with another label ${verdict.label} (docs/policy.md).`;
    if (settings?.mode === 'audit') {
      return warning(
        `${asked}: allowed only as long as MSI_PROXY_POLICY is audit; ${verdict.reason}`,
        remedy,
      );
    }
    return failed(`${asked}: refused, ${verdict.reason}`, remedy);
  },
};

function judge(
  policy: ClientPolicy,
  { resource, identity }: Subject,
  settings: ProxyCheck['policy'] | undefined,
): ReturnType<typeof tokenVerdict> {
  if (
    settings?.requireIdentity === true &&
    policy.defaultIdentity === undefined &&
    policy.identities === 'any'
  ) {
    const reason = 'its labels name no identity, and the proxy wants one (MSI_PROXY_REQUIRE_IDENTITY)';
    return { allowed: false, reason, label: IDENTITY_LABEL };
  }
  return tokenVerdict(policy, {
    ...(resource !== undefined && { resource }),
    ...(identity !== undefined && { identity }),
  });
}
