import { MsiProxyError } from '@msi-proxy/shared';

/**
 * Passes on the name of a bridge that can be written into a rule. Linux allows 15 characters.
 *
 * @throws {MsiProxyError} `MSI_SETTINGS_INVALID` for any other
 */
export function checkedInterface(name: string): string {
  if (/^[\w.@:-]{1,15}$/.test(name)) return name;
  throw new MsiProxyError(
    'MSI_SETTINGS_INVALID',
    `The bridge of the proxy network has the name ${JSON.stringify(name)}; ` +
      'expected at most 15 letters, digits, ".", "_", "-", "@" or ":" (com.docker.network.bridge.name)',
  );
}
