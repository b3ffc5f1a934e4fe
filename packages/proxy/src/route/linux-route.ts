import { IMDS_ADDRESS, MsiProxyError } from '@msi-proxy/shared';
import { ensureAnswerRoute } from './answer-route.ts';
import { deviceWith, hopsOf, isSameHop, readJson, write, type Hop } from './ip-command.ts';
import { ensurePolicyRoute } from './policy-route.ts';
import type { RouteOptions, RouteOutcome, WantedRoute } from './route-options.ts';

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
  // A proxy that is started again on the network `msi-proxy-link` has the address from its first moment.
  const holdsAddress = (await deviceWith(IMDS_ADDRESS, options)) !== undefined;
  return await setRoute(hop, holdsAddress, options);
}

/**
 * Makes it go through the network on which this namespace has `address`, as do answers from that address.
 *
 * @throws {MsiProxyError} as {@link ensureRoute}
 */
export async function moveRoute(
  { address, gateway, holdsImdsAddress = false }: WantedRoute,
  options: RouteOptions,
): Promise<RouteOutcome> {
  const device = await deviceWith(address, options);
  if (device === undefined) {
    throw new MsiProxyError('MSI_ROUTE_NO_GATEWAY', `No interface has the address ${address}`);
  }
  const hop = { gateway, device };
  const answers = await ensureAnswerRoute(address, hop, options);
  const requests = await setRoute(hop, holdsImdsAddress, options);
  return answers === 'added' ? answers : requests;
}

async function setRoute(hop: Hop, holdsAddress: boolean, options: RouteOptions): Promise<RouteOutcome> {
  const outcome = holdsAddress ? await ensurePolicyRoute(hop, options) : await ensureMainRoute(hop, options);

  // Read back what the kernel would do, not what was written.
  const [effective] = hopsOf(await readJson(options, ['route', 'get', IMDS_ADDRESS]));
  if (!isSameHop(effective, hop)) {
    throw new MsiProxyError(
      'MSI_ROUTE_NOT_EFFECTIVE',
      `The route to IMDS was set through ${hop.gateway} (${hop.device}), but goes ${effective === undefined ? 'nowhere' : `through ${effective.gateway} (${effective.device})`}`,
    );
  }
  const isInPlace = outcome === 'in-place';
  options.logger.info(isInPlace ? 'The route to IMDS is in place' : 'Added the route to IMDS', { ...hop });
  return outcome;
}

async function ensureMainRoute(hop: Hop, options: RouteOptions): Promise<RouteOutcome> {
  const current = hopsOf(await readJson(options, ['route', 'show', DESTINATION]));
  if (current.length === 1 && isSameHop(current[0], hop)) return 'in-place';
  await write(options, ['route', 'replace', DESTINATION, 'via', hop.gateway, 'dev', hop.device]);
  return 'added';
}

/**
 * In words, where packets for IMDS go.
 *
 * @throws {MsiProxyError} `MSI_ROUTE_NOT_EFFECTIVE` when they go nowhere
 */
export async function describeRoute(options: RouteOptions): Promise<string> {
  const [hop] = hopsOf(await readJson(options, ['route', 'get', IMDS_ADDRESS]));
  if (hop !== undefined) return `${IMDS_ADDRESS} goes through ${hop.gateway} (${hop.device})`;
  throw new MsiProxyError('MSI_ROUTE_NOT_EFFECTIVE', `${IMDS_ADDRESS} goes through no gateway`);
}
