import { setTimeout as delay } from 'node:timers/promises';
import { MsiProxyError } from '@msi-proxy/shared';
import * as linux from './linux-route.ts';
import type { RouteOptions, RouteOutcome, WantedRoute } from './route-options.ts';
import * as windows from './windows-route.ts';

export interface PlatformRouteOptions extends RouteOptions {
  readonly platform: NodeJS.Platform;
}

/**
 * Makes 169.254.169.254 go through the default gateway.
 *
 * @throws {MsiProxyError} `MSI_ROUTE_NO_GATEWAY`, `MSI_ROUTE_NO_CAPABILITY` or `MSI_ROUTE_NOT_EFFECTIVE`
 */
export async function ensureRoute({ platform, ...options }: PlatformRouteOptions): Promise<RouteOutcome> {
  if (platform === 'linux') return await linux.ensureRoute(options);
  if (platform === 'win32') return await windows.ensureRoute({ ...options, pause: delay });
  throw unsupported(platform);
}

/**
 * Makes it go through the network on which this machine has `address`.
 *
 * @throws {MsiProxyError} as {@link ensureRoute}
 */
export async function moveRoute(
  wanted: WantedRoute,
  { platform, ...options }: PlatformRouteOptions,
): Promise<RouteOutcome> {
  if (platform === 'linux') return await linux.moveRoute(wanted, options);
  if (platform === 'win32') return await windows.moveRoute(wanted, options);
  throw unsupported(platform);
}

/**
 * In words, where packets for IMDS go.
 *
 * @throws {MsiProxyError} `MSI_ROUTE_NOT_EFFECTIVE` when they go nowhere
 */
export async function describeRoute({ platform, ...options }: PlatformRouteOptions): Promise<string> {
  if (platform === 'linux') return await linux.describeRoute(options);
  if (platform === 'win32') return await windows.describeRoute(options);
  throw unsupported(platform);
}

function unsupported(platform: NodeJS.Platform): MsiProxyError {
  return new MsiProxyError(
    'MSI_ROUTE_NOT_EFFECTIVE',
    `Routes can be set on Linux and Windows, not on ${platform}: set the route to IMDS yourself and start the proxy with MSI_PROXY_ROUTE=off`,
  );
}
