import type { ApplyResult } from './wiring-method.ts';

/** What several steps came to, taken together. */
export function combineResults(...results: readonly ApplyResult[]): ApplyResult {
  if (results.includes('repaired')) return 'repaired';
  return results.includes('applied') ? 'applied' : 'unchanged';
}
