import { IMDS_ADDRESS, messageOf, MsiProxyError, printable, type CommandResult } from '@msi-proxy/shared';
import type { RouteOptions, RouteOutcome, WantedRoute } from './route-options.ts';
import { readRouteTable, routesTo, type WindowsRoute } from './windows-route-table.ts';

// route.exe and not New-NetRoute: it is in nanoserver too, and starts in milliseconds where PowerShell needs seconds.

export interface WindowsRouteOptions extends RouteOptions {
  readonly pause: (millis: number) => Promise<unknown>;
}

interface Hop {
  readonly gateway: string;
  readonly interfaceAddress: string;
}

const HOST_MASK = '255.255.255.255';

/** An address that duplicates are still looked for has no routes yet; that takes Windows three seconds. */
const GATEWAY_ATTEMPTS = 40;
const GATEWAY_PAUSE_MILLIS = 250;

/**
 * Makes 169.254.169.254 go through the next hop of the default route with the lowest metric, until Windows restarts.
 * Does nothing where it is already so. Waits up to ten seconds for the default route of a container that has just started.
 *
 * @throws {MsiProxyError} `MSI_ROUTE_NO_GATEWAY` or `MSI_ROUTE_NOT_EFFECTIVE`
 */
export async function ensureRoute(options: WindowsRouteOptions): Promise<RouteOutcome> {
  for (let attempt = 1; ; attempt++) {
    const table = await readTable(options);
    const [hop] = routesTo(table, '0.0.0.0', '0.0.0.0').flatMap(hopOf);
    if (hop !== undefined) return await setRoute(hop, table, options);
    if (attempt === GATEWAY_ATTEMPTS) {
      throw new MsiProxyError(
        'MSI_ROUTE_NO_GATEWAY',
        'The proxy has no default gateway: attach it to a NAT network',
      );
    }
    await options.pause(GATEWAY_PAUSE_MILLIS);
  }
}

/**
 * Makes it go through the network on which this container has `address`.
 *
 * @throws {MsiProxyError} as {@link ensureRoute}
 */
export async function moveRoute(
  { address, gateway }: WantedRoute,
  options: RouteOptions,
): Promise<RouteOutcome> {
  const table = await readTable(options);
  if (!table.some(({ interfaceAddress }) => interfaceAddress === address)) {
    throw new MsiProxyError('MSI_ROUTE_NO_GATEWAY', `No interface has the address ${address}`);
  }
  return await setRoute({ gateway, interfaceAddress: address }, table, options);
}

/**
 * In words, where packets for IMDS go.
 *
 * @throws {MsiProxyError} `MSI_ROUTE_NOT_EFFECTIVE` when there is no route of their own
 */
export async function describeRoute(options: RouteOptions): Promise<string> {
  const [hop] = routesTo(await readTable(options), IMDS_ADDRESS, HOST_MASK).flatMap(hopOf);
  if (hop !== undefined) return `${IMDS_ADDRESS} goes through ${hop.gateway} (${hop.interfaceAddress})`;
  throw new MsiProxyError('MSI_ROUTE_NOT_EFFECTIVE', `There is no route to ${IMDS_ADDRESS}`);
}

async function setRoute(
  hop: Hop,
  table: readonly WindowsRoute[],
  options: RouteOptions,
): Promise<RouteOutcome> {
  const current = routesTo(table, IMDS_ADDRESS, HOST_MASK);
  if (current.length === 1 && isSame(current[0], hop)) {
    options.logger.info('The route to IMDS is in place', { ...hop });
    return 'in-place';
  }
  // Before the new one is added, since route.exe tells routes to one destination apart by their gateway only. Meanwhile
  // the default route leads out.
  for (const { gateway } of current) {
    // One that is on-link belongs to an address of this container and cannot be deleted; what is read back tells.
    if (gateway !== undefined) await route(options, ['delete', IMDS_ADDRESS, 'mask', HOST_MASK, gateway]);
  }
  // Without -p: persistent routes have been seen to turn up in other containers of the machine.
  const argv = ['add', IMDS_ADDRESS, 'mask', HOST_MASK, hop.gateway, 'metric', '1'];
  const said = await route(options, argv);

  // Exit codes of route.exe do not tell, and its texts are localised: read back what Windows does.
  const [effective] = routesTo(await readTable(options), IMDS_ADDRESS, HOST_MASK);
  if (!isSame(effective, hop)) {
    throw new MsiProxyError(
      'MSI_ROUTE_NOT_EFFECTIVE',
      `The route to IMDS was set through ${hop.gateway} (${hop.interfaceAddress}), but goes ${describe(effective)}; the proxy must run as ContainerAdministrator. route ${argv.join(' ')}: ${quote(said)}`,
    );
  }
  options.logger.info('Added the route to IMDS', { ...hop });
  return 'added';
}

async function readTable(options: RouteOptions): Promise<WindowsRoute[]> {
  const said = await route(options, ['print', '-4']);
  const table = readRouteTable(said.stdout);
  // The loopback interface has routes on any Windows.
  if (table.length === 0) {
    throw new MsiProxyError('MSI_ROUTE_NOT_EFFECTIVE', `route print -4 printed no routes: ${quote(said)}`);
  }
  return table;
}

async function route({ runner }: RouteOptions, argv: readonly string[]): Promise<CommandResult> {
  try {
    return await runner.run('route', argv);
  } catch (cause) {
    throw new MsiProxyError('MSI_ROUTE_NOT_EFFECTIVE', `The route cannot be managed: ${messageOf(cause)}`, {
      cause,
    });
  }
}

function hopOf({ gateway, interfaceAddress }: WindowsRoute): Hop[] {
  return gateway === undefined ? [] : [{ gateway, interfaceAddress }];
}

function isSame(route: WindowsRoute | undefined, hop: Hop): boolean {
  return route?.gateway === hop.gateway && route.interfaceAddress === hop.interfaceAddress;
}

function describe(route: WindowsRoute | undefined): string {
  if (route === undefined) return 'by no route of its own';
  return `${route.gateway === undefined ? 'nowhere (on-link)' : `through ${route.gateway}`} (${route.interfaceAddress})`;
}

function quote({ exitCode, stdout, stderr }: CommandResult): string {
  return `exit code ${exitCode}, ${printable(`${stdout} ${stderr}`.trim())}`;
}
