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
  const current = await routeTo(runner, IMDS_ADDRESS, ['fibmatch']);
  if (current !== undefined && current.protocol !== OUR_PROTOCOL) return 'unchanged';

  const device = await deviceTo(runner, proxyAddress);
  if (device === undefined) {
    throw new MsiProxyError(
      'MSI_WIRING_NOT_EFFECTIVE',
      `The container has no route to the proxy at ${proxyAddress}: connect the proxy to one of its networks`,
    );
  }
  if (current?.device === device) return 'unchanged';
  const verb = current === undefined ? 'add' : 'replace';
  const result = await route(runner, [verb, IMDS_ROUTE, 'dev', device, 'proto', OUR_PROTOCOL]);
  if (result.exitCode !== 0) throw commandFailure('ip', result, `${verb} the route to IMDS`);
  return current === undefined ? 'applied' : 'repaired';
}

export async function hasImdsRoute(runner: CommandRunner): Promise<boolean> {
  return (await routeTo(runner, IMDS_ADDRESS)) !== undefined;
}

/** Deletes our route to IMDS, never another's. */
export async function removeImdsRoute(runner: CommandRunner): Promise<void> {
  const result = await route(runner, ['delete', IMDS_ROUTE, 'proto', OUR_PROTOCOL]);
  if (result.exitCode !== 0 && !result.stderr.includes('No such process')) {
    throw commandFailure('ip', result, 'delete the route to IMDS');
  }
}

async function deviceTo(runner: CommandRunner, address: string): Promise<string | undefined> {
  return (await routeTo(runner, address))?.device;
}

interface Route {
  /** Absent where a route has several. */
  readonly device?: string;
  /** Who made the route; only told of the one that `fibmatch` asks for. */
  readonly protocol?: string;
}

/**
 * @param options `fibmatch` gives the route that decides, instead of what it comes to for the address
 * @returns undefined when there is no route
 */
async function routeTo(
  runner: CommandRunner,
  address: string,
  options: readonly string[] = [],
): Promise<Route | undefined> {
  const result = await route(runner, ['get', ...options, address]);
  // `RTNETLINK answers: Network is unreachable`, or what a route of type unreachable, prohibit or blackhole answers.
  if (result.exitCode === 2 && result.stderr.startsWith('RTNETLINK answers')) return undefined;
  return parseRoute(result);
}

async function route(runner: CommandRunner, argv: readonly string[]): Promise<CommandResult> {
  return await runner.run('ip', ['-4', '-json', 'route', ...argv]);
}

/** The first of the routes that `ip -json route` printed. */
function parseRoute(result: CommandResult): Route | undefined {
  if (result.exitCode !== 0) throw commandFailure('ip', result, 'read routes');
  try {
    const routes: unknown = JSON.parse(result.stdout.trim() || '[]');
    if (Array.isArray(routes)) {
      const [first] = routes as ({ dev?: unknown; protocol?: unknown } | undefined)[];
      return first && { ...text('device', first.dev), ...text('protocol', first.protocol) };
    }
  } catch {
    // Said below.
  }
  throw new MsiProxyError('MSI_WIRING_COMMAND', 'ip printed something else than routes');
}

function text<Key extends string>(key: Key, value: unknown): Partial<Record<Key, string>> {
  return typeof value === 'string' ? ({ [key]: value } as Record<Key, string>) : {};
}
