import type { Grant } from '@msi-proxy/shared';
import type { GatedRequest } from '../gate/gated-request.ts';
import { authorize, type AuthorizeOptions, type Decision } from './authorize.ts';

/**
 * Remembers decisions. They depend on nothing but request and grant, both of which stay the same objects as long as they
 * say the same: a request as long as the gate remembers it, a grant as long as the container has it.
 */
export class DecisionMemo {
  readonly #options: AuthorizeOptions;
  readonly #decisions = new WeakMap<Grant, WeakMap<GatedRequest, Decision>>();

  constructor(options: AuthorizeOptions) {
    this.#options = options;
  }

  decide(request: GatedRequest, grant: Grant | undefined): Decision {
    if (grant === undefined) return authorize(request, grant, this.#options);
    let ofGrant = this.#decisions.get(grant);
    if (ofGrant === undefined) {
      ofGrant = new WeakMap();
      this.#decisions.set(grant, ofGrant);
    }
    const known = ofGrant.get(request);
    if (known !== undefined) return known;
    const decision = authorize(request, grant, this.#options);
    ofGrant.set(request, decision);
    return decision;
  }
}
