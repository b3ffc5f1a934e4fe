import { codeOf, ERROR_CODES, MsiProxyError } from '@msi-proxy/shared';
import { engineRemedy } from './docker/index.ts';

/** The engine that was asked, and from where. */
export interface AskedEngine {
  /** DOCKER_HOST. */
  readonly host: string;
  /** As Node names it. */
  readonly platform: string;
}

/** What to do about an error. */
export function remedyOf(error: unknown, { host, platform }: AskedEngine): string {
  if (error instanceof MsiProxyError && error.code.startsWith('MSI_ENGINE_')) {
    return engineRemedy(error, host, platform);
  }
  const code = codeOf(error) ?? '';
  if (Object.hasOwn(ERROR_CODES, code)) return ERROR_CODES[code as keyof typeof ERROR_CODES].remedy;
  return 'See the log of the monitor; please report it if it says nothing about it.';
}
