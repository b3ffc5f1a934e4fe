import { type CommandResult, type CommandRunner, IMDS_ADDRESS, MsiProxyError } from '@msi-proxy/shared';
import { commandFailure } from '../command-failure.ts';
import type { ApplyResult } from './wiring-method.ts';

const IMDS_ROUTE = `${IMDS_ADDRESS}/32`;

/** Marks a route as ours: a number that /etc/iproute2/rt_protos gives to nobody. */
const OUR_PROTOCOL = '77';

/**
 * Makes sure that a connection to IMDS gets as far as the packet rules: without any route (internal networks, networks
 * without gateway) it fails before. Only then a route is added, on the interface by which the proxy is reached.
 *
 * @param runner runs programs in the client's network namespace
 * @throws {MsiProxyError} `MSI_WIRING_NOT_EFFECTIVE` when the client has no route to the proxy either
 */
export async function ensureImdsRoute(runner: CommandRunner, proxyAddress: string): Promise<ApplyResult> {
  const [ours] = await listRoutes(runner, ['show', IMDS_ROUTE, 'proto', OUR_PROTOCOL]);
  if (ours === undefined && (await hasImdsRoute(runner))) return 'unchanged';

  const device = await deviceTo(runner, proxyAddress);
  if (device === undefined) {
    throw new MsiProxyError(
      'MSI_WIRING_NOT_EFFECTIVE',
      `The container has no route to the proxy at ${proxyAddress}: connect the proxy to one of its networks`,
    );
  }
  if (ours === device) return 'unchanged';
  const verb = ours === undefined ? 'add' : 'replace';
  const result = await route(runner, [verb, IMDS_ROUTE, 'dev', device, 'proto', OUR_PROTOCOL]);
  if (result.exitCode !== 0) throw commandFailure('ip', result, `${verb} the route to IMDS`);
  return ours === undefined ? 'applied' : 'repaired';
}

export async function hasImdsRoute(runner: CommandRunner): Promise<boolean> {
  return (await deviceTo(runner, IMDS_ADDRESS)) !== undefined;
}

/** Deletes our route to IMDS, never another's. */
export async function removeImdsRoute(runner: CommandRunner): Promise<void> {
  const result = await route(runner, ['delete', IMDS_ROUTE, 'proto', OUR_PROTOCOL]);
  if (result.exitCode !== 0 && !result.stderr.includes('No such process')) {
    throw commandFailure('ip', result, 'delete the route to IMDS');
  }
}

/** @returns the interface, undefined when there is no route */
async function deviceTo(runner: CommandRunner, address: string): Promise<string | undefined> {
  const result = await route(runner, ['get', address]);
  // `RTNETLINK answers: Network is unreachable`, or what a route of type unreachable, prohibit or blackhole answers.
  if (result.exitCode === 2 && result.stderr.startsWith('RTNETLINK answers')) return undefined;
  return devices(result)[0];
}

async function listRoutes(runner: CommandRunner, argv: readonly string[]): Promise<string[]> {
  return devices(await route(runner, argv));
}

async function route(runner: CommandRunner, argv: readonly string[]): Promise<CommandResult> {
  return await runner.run('ip', ['-4', '-json', 'route', ...argv]);
}

/** The interfaces of the routes that `ip -json route` printed. */
function devices(result: CommandResult): string[] {
  if (result.exitCode !== 0) throw commandFailure('ip', result, 'read routes');
  try {
    const routes: unknown = JSON.parse(result.stdout.trim() || '[]');
    if (Array.isArray(routes)) return routes.map(({ dev }: { dev?: unknown }) => String(dev));
  } catch {
    // Said below.
  }
  throw new MsiProxyError('MSI_WIRING_COMMAND', 'ip printed something else than routes');
}
