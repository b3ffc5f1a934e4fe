import { MsiProxyError, printable } from '@msi-proxy/shared';

// 1.41 is Docker 20.10, the oldest that is tested; 1.52 is the newest whose changes are known.
const OLDEST = '1.41';
const NEWEST = '1.52';

/**
 * The API version to speak with an engine: the newest that both know.
 * @throws {MsiProxyError} `MSI_ENGINE_TOO_OLD`
 */
export function negotiateApiVersion(engineVersion: string, engineApiVersion: string, host: string): string {
  if (!/^\d+\.\d+$/.test(engineApiVersion) || compare(engineApiVersion, OLDEST) < 0) {
    throw new MsiProxyError(
      'MSI_ENGINE_TOO_OLD',
      `The Docker engine at ${host} is version ${printable(engineVersion)} and speaks API ${printable(engineApiVersion)}: expected ${OLDEST} (Docker 20.10) or later`,
    );
  }
  return compare(engineApiVersion, NEWEST) < 0 ? engineApiVersion : NEWEST;
}

function compare(a: string, b: string): number {
  const [majorA = 0, minorA = 0] = a.split('.').map(Number);
  const [majorB = 0, minorB = 0] = b.split('.').map(Number);
  return majorA - majorB || minorA - minorB;
}
