import type { Facts } from './facts.ts';

/** From best to worst; `skipped` says nothing. */
export const VERDICTS = ['skipped', 'ok', 'warning', 'failed'] as const;
export type Verdict = (typeof VERDICTS)[number];

export interface Finding {
  readonly result: Verdict;
  /** In words. */
  readonly seen: string;
  /** What to do about it; absent where nothing is wrong. */
  readonly remedy?: string;
}

/** One question about the VM or about a container. What it throws is a failure. */
export interface Check {
  /** Stable: programs read it. */
  readonly id: string;
  readonly title: string;
  /** Of a container: asked only when one is named. Of a VM: asked only when none is. */
  readonly about: 'always' | 'container' | 'vm';
  /** Checks that must not have failed, or this one is skipped. */
  readonly needs?: readonly string[];
  run(facts: Facts): Promise<Finding>;
}

export interface CheckOutcome extends Finding {
  readonly id: string;
  readonly title: string;
}

export function ok(seen: string): Finding {
  return { result: 'ok', seen };
}

export function warning(seen: string, remedy: string): Finding {
  return { result: 'warning', seen, remedy };
}

export function failed(seen: string, remedy: string): Finding {
  return { result: 'failed', seen, remedy };
}

export function skipped(seen: string): Finding {
  return { result: 'skipped', seen };
}
