import { MsiProxyError } from '@msi-proxy/shared';
import type { VmRules } from './vm-rules.ts';

/**
 * In place of packet rules where there can be none: nothing is redirected, and nobody is kept from IMDS.
 *
 * @param reason shown in the status
 */
export function createNoVmRules(reason: string): VmRules {
  return {
    unavailable: reason,
    target: undefined,
    barrier: undefined,
    stopped: new Map(),
    ensure: async () => await Promise.resolve('unchanged'),
    switchTarget: async () => await Promise.resolve(),
    setProxies: async () => await Promise.resolve(),
    lendSources: async () => {
      await Promise.reject(new MsiProxyError('MSI_INTERNAL', 'There is no stand-in to lend addresses to'));
    },
    drift: async () => await Promise.resolve([]),
    remove: async () => await Promise.resolve(),
  };
}
