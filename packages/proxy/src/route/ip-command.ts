import { messageOf, MsiProxyError, printable } from '@msi-proxy/shared';
import type { RouteOptions } from './route-options.ts';

/** A way out of this network namespace. */
export interface Hop {
  readonly gateway: string;
  readonly device: string;
}

/**
 * What `ip -json` prints.
 *
 * @throws {MsiProxyError} `MSI_ROUTE_NOT_EFFECTIVE`
 */
export async function readJson(
  options: RouteOptions,
  argv: readonly string[],
): Promise<Record<string, unknown>[]> {
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

/**
 * Runs an `ip` that changes something.
 *
 * @throws {MsiProxyError} `MSI_ROUTE_NO_CAPABILITY` or `MSI_ROUTE_NOT_EFFECTIVE`
 */
export async function write(options: RouteOptions, argv: readonly string[]): Promise<void> {
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

/** Routes that have a gateway, best first as the kernel lists them. */
export function hopsOf(routes: readonly Record<string, unknown>[]): Hop[] {
  return routes.flatMap(({ gateway, dev }) =>
    typeof gateway === 'string' && typeof dev === 'string' ? [{ gateway, device: dev }] : [],
  );
}

export function isSameHop(a: Hop | undefined, b: Hop): boolean {
  return a?.gateway === b.gateway && a.device === b.device;
}

/** The interface that has the address; undefined when none has. */
export async function deviceWith(address: string, options: RouteOptions): Promise<string | undefined> {
  const links = await readJson(options, ['-4', 'address', 'show']);
  const link = links.find(candidate =>
    arrayOf(candidate['addr_info']).some(info => isRecord(info) && info['local'] === address),
  );
  const device = link?.['ifname'];
  return typeof device === 'string' ? device : undefined;
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
