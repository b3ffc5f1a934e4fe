import type { Grant } from '@msi-proxy/shared';
import type { GatedRequest } from '../gate/gated-request.ts';
import { authorize, type AuthorizeOptions, type Decision } from './authorize.ts';

// Every container has a grant of its own, and so decisions of its own about the same request. A container's resource of two KiB
// is encoded anew twice in the token request that hangs on the decision, each time as up to three characters for one.
const BYTES_PER_CHARACTER = 6;
const BYTES_PER_DECISION = 1_024;
const MAX_BYTES = 8 * 1024 * 1024;

/**
 * Remembers decisions. They depend on nothing but request and grant, both of which stay the same objects as long as they
 * say the same: a request as long as the gate remembers it, a grant as long as the container has it. When they may take too
 * much memory it starts afresh, as the gate's memory does.
 */
export class DecisionMemo {
  readonly #options: AuthorizeOptions;
  #decisions = new WeakMap<Grant, WeakMap<GatedRequest, Decision>>();
  /** What all that were remembered take at most, those included whose request or grant has gone since. */
  #bytes = 0;

  constructor(options: AuthorizeOptions) {
    this.#options = options;
  }

  decide(request: GatedRequest, grant: Grant | undefined): Decision {
    if (grant === undefined) return authorize(request, grant, this.#options);
    const known = this.#decisions.get(grant)?.get(request);
    if (known !== undefined) return known;
    const decision = authorize(request, grant, this.#options);
    this.#remember(request, grant, decision);
    return decision;
  }

  #remember(request: GatedRequest, grant: Grant, decision: Decision): void {
    const bytes = BYTES_PER_DECISION + BYTES_PER_CHARACTER * request.target.length;
    if (this.#bytes + bytes > MAX_BYTES) {
      this.#decisions = new WeakMap();
      this.#bytes = 0;
    }
    this.#bytes += bytes;
    let ofGrant = this.#decisions.get(grant);
    if (ofGrant === undefined) {
      ofGrant = new WeakMap();
      this.#decisions.set(grant, ofGrant);
    }
    ofGrant.set(request, decision);
  }
}
