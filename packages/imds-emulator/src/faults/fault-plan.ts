import type { Clock } from '@msi-proxy/shared';
import type { Category } from '../routes/endpoint.ts';
import type { FaultRule } from './fault-rule.ts';

interface ActiveRule {
  readonly rule: FaultRule;
  readonly untilMillis: number;
  remaining: number;
}

/** The fault rules in force. */
export class FaultPlan {
  readonly #clock: Clock;
  #active: readonly ActiveRule[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Replaces all rules. */
  set(rules: readonly FaultRule[]): void {
    const now = this.#clock.monotonicMillis();
    this.#active = rules.map(rule => ({
      rule,
      untilMillis: now + (rule.forMillis ?? Number.POSITIVE_INFINITY),
      remaining: rule.times ?? Number.POSITIVE_INFINITY,
    }));
  }

  get rules(): readonly FaultRule[] {
    this.#dropExpired();
    return this.#active.map(({ rule }) => rule);
  }

  /** The fault for an answer; counts as one of the rule's `times`. */
  take({ category, path }: { readonly category: Category; readonly path: string }): FaultRule | undefined {
    this.#dropExpired();
    const found = this.#active.find(({ rule }) => matches(rule, category, path));
    if (found === undefined) return undefined;
    found.remaining -= 1;
    return found.rule;
  }

  #dropExpired(): void {
    const now = this.#clock.monotonicMillis();
    this.#active = this.#active.filter(({ remaining, untilMillis }) => remaining > 0 && now < untilMillis);
  }
}

function matches(rule: FaultRule, category: Category, path: string): boolean {
  if (rule.category !== undefined && rule.category !== category) return false;
  return rule.pathPrefix === undefined || path.toLowerCase().startsWith(rule.pathPrefix.toLowerCase());
}
