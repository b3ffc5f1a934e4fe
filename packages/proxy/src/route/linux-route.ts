import { IMDS_ADDRESS, messageOf, MsiProxyError, printable } from '@msi-proxy/shared';
import type { RouteOptions, RouteOutcome, WantedRoute } from './route-options.ts';

interface Hop {
  readonly gateway: string;
  readonly device: string;
}

const DESTINATION = `${IMDS_ADDRESS}/32`;

/**
 * Makes 169.254.169.254 go through the default gateway of this network namespace, which is the VM. Without the route,
 * images and networks that claim 169.254.0.0/16 as on-link would look for IMDS among the containers. Does nothing where
 * it is already so.
 *
 * @throws {MsiProxyError} `MSI_ROUTE_NO_GATEWAY`, `MSI_ROUTE_NO_CAPABILITY` or `MSI_ROUTE_NOT_EFFECTIVE`
 */
export async function ensureRoute(options: RouteOptions): Promise<RouteOutcome> {
  const [hop] = hopsOf(await readJson(options, ['route', 'show', 'default']));
  if (hop === undefined) {
    throw new MsiProxyError(
      'MSI_ROUTE_NO_GATEWAY',
      'The proxy has no default gateway: attach it to a bridge network that is not internal',
    );
  }
  return await setRoute(hop, options);
}

/**
 * Makes it go through the network on which this namespace has `address`.
 *
 * @throws {MsiProxyError} as {@link ensureRoute}
 */
export async function moveRoute(
  { address, gateway }: WantedRoute,
  options: RouteOptions,
): Promise<RouteOutcome> {
  const links = await readJson(options, ['-4', 'address', 'show']);
  const link = links.find(candidate =>
    arrayOf(candidate['addr_info']).some(info => isRecord(info) && info['local'] === address),
  );
  const device = link?.['ifname'];
  if (typeof device !== 'string') {
    throw new MsiProxyError('MSI_ROUTE_NO_GATEWAY', `No interface has the address ${address}`);
  }
  return await setRoute({ gateway, device }, options);
}

async function setRoute(hop: Hop, options: RouteOptions): Promise<RouteOutcome> {
  const current = hopsOf(await readJson(options, ['route', 'show', DESTINATION]));
  const isInPlace = current.length === 1 && isSame(current[0], hop);
  if (!isInPlace) await replaceRoute(hop, options);

  // Read back what the kernel would do, not what was written.
  const [effective] = hopsOf(await readJson(options, ['route', 'get', IMDS_ADDRESS]));
  if (!isSame(effective, hop)) {
    throw new MsiProxyError(
      'MSI_ROUTE_NOT_EFFECTIVE',
      `The route to IMDS was set through ${hop.gateway} (${hop.device}), but goes ${effective === undefined ? 'nowhere' : `through ${effective.gateway} (${effective.device})`}`,
    );
  }
  options.logger.info(isInPlace ? 'The route to IMDS is in place' : 'Added the route to IMDS', { ...hop });
  return isInPlace ? 'in-place' : 'added';
}

async function replaceRoute(hop: Hop, options: RouteOptions): Promise<void> {
  const argv = ['route', 'replace', DESTINATION, 'via', hop.gateway, 'dev', hop.device];
  const { exitCode, stderr } = await run(options, argv);
  if (exitCode === 0) return;
  if (/not permitted/i.test(stderr)) {
    throw new MsiProxyError(
      'MSI_ROUTE_NO_CAPABILITY',
      'The route to IMDS could not be added for want of the capability NET_ADMIN: start the proxy with --cap-add NET_ADMIN, or with MSI_PROXY_ROUTE=off where the route is not needed',
    );
  }
  throw new MsiProxyError('MSI_ROUTE_NOT_EFFECTIVE', `ip ${argv.join(' ')}: ${stderr.trim()}`);
}

function isSame(a: Hop | undefined, b: Hop): boolean {
  return a?.gateway === b.gateway && a.device === b.device;
}

/** Routes that have a gateway, best first as the kernel lists them. */
function hopsOf(routes: readonly Record<string, unknown>[]): Hop[] {
  return routes.flatMap(({ gateway, dev }) =>
    typeof gateway === 'string' && typeof dev === 'string' ? [{ gateway, device: dev }] : [],
  );
}

async function readJson(options: RouteOptions, argv: readonly string[]): Promise<Record<string, unknown>[]> {
  const { exitCode, stdout, stderr } = await run(options, ['-json', ...argv]);
  if (exitCode !== 0) {
    throw new MsiProxyError('MSI_ROUTE_NOT_EFFECTIVE', `ip ${argv.join(' ')}: ${stderr.trim()}`);
  }
  if (stdout.trim() === '') return [];
  try {
    return arrayOf(JSON.parse(stdout)).filter(isRecord);
  } catch (cause) {
    const text = `ip ${argv.join(' ')} printed no JSON: ${printable(stdout.trim())}`;
    throw new MsiProxyError('MSI_ROUTE_NOT_EFFECTIVE', text, { cause });
  }
}

async function run({ runner }: RouteOptions, argv: readonly string[]) {
  try {
    return await runner.run('ip', argv);
  } catch (cause) {
    throw new MsiProxyError('MSI_ROUTE_NOT_EFFECTIVE', `The route cannot be managed: ${messageOf(cause)}`, {
      cause,
    });
  }
}

function arrayOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
