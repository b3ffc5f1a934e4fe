import { MsiProxyError } from '@msi-proxy/shared';
import * as linux from './linux-route.ts';

export interface PlatformRouteOptions extends linux.RouteOptions {
  readonly platform: NodeJS.Platform;
}

/**
 * Makes 169.254.169.254 go through the default gateway.
 *
 * @throws {MsiProxyError} `MSI_ROUTE_NO_GATEWAY`, `MSI_ROUTE_NO_CAPABILITY` or `MSI_ROUTE_NOT_EFFECTIVE`
 */
export async function ensureRoute({
  platform,
  ...options
}: PlatformRouteOptions): Promise<linux.RouteOutcome> {
  requireLinux(platform);
  return await linux.ensureRoute(options);
}

/**
 * Makes it go through the network on which this machine has `address`.
 *
 * @throws {MsiProxyError} as {@link ensureRoute}
 */
export async function moveRoute(
  wanted: { readonly address: string; readonly gateway: string },
  { platform, ...options }: PlatformRouteOptions,
): Promise<linux.RouteOutcome> {
  requireLinux(platform);
  return await linux.moveRoute(wanted, options);
}

function requireLinux(platform: NodeJS.Platform): void {
  if (platform === 'linux') return;
  throw new MsiProxyError(
    'MSI_ROUTE_NOT_EFFECTIVE',
    `Routes can be set on Linux only, not on ${platform}: set the route to IMDS yourself and start the proxy with MSI_PROXY_ROUTE=off`,
  );
}
