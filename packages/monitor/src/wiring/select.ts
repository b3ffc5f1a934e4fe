import type { WiringMethodName } from '@msi-proxy/shared';
import type { WirableClient, WiringMethod } from './wiring-method.ts';

export type WiringSetting = 'auto' | WiringMethodName;

/** Driver of a network about which the engine has not told yet. */
export const UNKNOWN_DRIVER = 'unknown';

export type WiringChoice =
  | { readonly kind: 'method'; readonly method: WiringMethod }
  /** What suits it cannot be said yet. */
  | { readonly kind: 'later'; readonly reason: string }
  | { readonly kind: 'none'; readonly code: 'MSI_WIRING_NOT_APPLICABLE'; readonly reason: string };

export interface WiringSelector {
  /** The first allowed method that suits the container, or why each of them does not. */
  select(client: WirableClient): WiringChoice;
}

export interface WiringSelectorOptions {
  /** In order of preference. */
  readonly methods: readonly WiringMethod[];
  readonly setting: WiringSetting;
}

export function createWiringSelector({ methods, setting }: WiringSelectorOptions): WiringSelector {
  const allowed = methods.filter(({ name }) => setting === 'auto' || name === setting);
  return {
    select(client) {
      const unknown = client.networks.find(({ driver }) => driver === UNKNOWN_DRIVER);
      if (unknown !== undefined)
        return { kind: 'later', reason: `nothing is known yet of its network ${unknown.name}` };
      const reasons: string[] = [];
      for (const method of allowed) {
        const suitability = method.suits(client);
        if (suitability.suitable) return { kind: 'method', method };
        reasons.push(`${method.name}: ${suitability.reason}`);
      }
      const reason = reasons.join('; ') || `the wiring method ${setting} does not exist on this platform`;
      return { kind: 'none', code: 'MSI_WIRING_NOT_APPLICABLE', reason };
    },
  };
}
