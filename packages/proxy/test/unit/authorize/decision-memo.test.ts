import assert from 'node:assert/strict';
import type { Grant } from '@msi-proxy/shared';
import type { Decision } from '../../../src/authorize/authorize.ts';
import { DecisionMemo } from '../../../src/authorize/decision-memo.ts';
import type { GatedRequest } from '../../../src/gate/gated-request.ts';
import { readTarget } from '../../../src/gate/request-gate.ts';
import { grantOf } from '../support/callers.ts';

const TOKEN = '/metadata/identity/oauth2/token?api-version=2018-02-01&resource=';

/** As many as the gate remembers. */
const REQUESTS = 1_000;

function requestFor(resource: string): GatedRequest {
  return readTarget(TOKEN + resource).plainGet!;
}

describe('the memory of decisions', () => {
  let memo: DecisionMemo;

  beforeEach(() => {
    memo = new DecisionMemo({ mode: 'enforce', requireIdentity: false });
  });

  /** All decisions, and how many of them are remembered: the last ones. */
  function decideAll(grants: readonly Grant[], requests: readonly GatedRequest[]): number {
    const decided: { grant: Grant; request: GatedRequest; decision: Decision }[] = [];
    for (const grant of grants) {
      for (const request of requests) decided.push({ grant, request, decision: memo.decide(request, grant) });
    }
    const forgotten = decided
      .toReversed()
      .findIndex(({ grant, request, decision }) => memo.decide(request, grant) !== decision);
    return forgotten === -1 ? decided.length : forgotten;
  }

  it('has the decision about a request that came before, for each grant its own', () => {
    const request = requestFor('https://vault.azure.net');
    const [own, other] = [grantOf(), grantOf({ endpoints: [] })];
    const decision = memo.decide(request, own);
    assert.equal(memo.decide(request, other).kind, 'deny');
    assert.equal(memo.decide(request, own), decision);
    assert.equal(decision.kind, 'allow');
  });

  it('remembers what two hundred containers ask again and again', () => {
    const grants = Array.from({ length: 200 }, () => grantOf());
    const requests = Array.from({ length: 20 }, (_, index) => requestFor(`https://${index}.azure.net`));
    assert.equal(decideAll(grants, requests), 4_000);
  });

  it('keeps a bounded memory of what many containers ask in very many long ways', () => {
    const grants = Array.from({ length: 20 }, () => grantOf());
    const requests = Array.from({ length: REQUESTS }, (_, index) => requestFor('/'.repeat(850 + index)));
    const remembered = decideAll(grants, requests);
    assert.ok(remembered <= 1_500, String(remembered));
  });

  it('keeps a bounded memory of what they ask in short ways', () => {
    const grants = Array.from({ length: 20 }, () => grantOf());
    const requests = Array.from({ length: REQUESTS }, (_, index) => requestFor(String(index)));
    const remembered = decideAll(grants, requests);
    assert.ok(remembered <= 8_192, String(remembered));
  });
});
