import type { Writable } from 'node:stream';
import {
  EXIT_FAILURE,
  EXIT_OK,
  formatHostPort,
  IMDS_ADDRESS,
  messageOf,
  READY_PATH,
  silentLogger,
  type Callers,
  type Clock,
  type CommandRunner,
  type HostPort,
  type ProxyCheck,
  type Sight,
} from '@msi-proxy/shared';
import { ask } from '../control/ask.ts';
import { describeRoute } from '../route/route.ts';
import { reachableAt } from '../healthcheck.ts';
import { httpStatusOf } from './http-status.ts';

export interface CheckCommandOptions {
  readonly listen: HostPort;
  readonly imdsAddress: HostPort;
  /** `off`: the route is the operator's matter. */
  readonly route: 'auto' | 'off';
  readonly controlSocket: string;
  readonly policy: 'enforce' | 'audit';
  readonly requireIdentity: boolean;
  readonly runner: CommandRunner;
  readonly platform: NodeJS.Platform;
  readonly clock: Clock;
  readonly stdout: Writable;
}

/** Of the server, and of IMDS: `GET /metadata/versions` needs neither an identity nor an API version. */
const VERSIONS_PATH = '/metadata/versions';

/**
 * `msi-proxy check`: looks at what the proxy needs, from where it stands.
 *
 * @returns the exit code
 */
export async function runCheck(options: CheckCommandOptions, format: 'json' | 'text'): Promise<number> {
  const check = await lookAround(options);
  const { route, imds, server, policy, callers } = check;
  const sights = { route, imds, server };
  if (format === 'json') options.stdout.write(`${JSON.stringify(check)}\n`);
  else {
    for (const [name, { ok, seen }] of Object.entries(sights))
      options.stdout.write(`${ok ? 'ok    ' : 'failed'}  ${name}: ${seen}\n`);
    if (policy.mode === 'audit')
      options.stdout.write('        policies are only recorded (MSI_PROXY_POLICY is audit)\n');
    if (callers !== undefined) options.stdout.write(`        knows ${callers.length} addresses\n`);
  }
  return Object.values(sights).every(({ ok }) => ok) ? EXIT_OK : EXIT_FAILURE;
}

async function lookAround(options: CheckCommandOptions): Promise<ProxyCheck> {
  const { listen, imdsAddress, controlSocket, clock } = options;
  const [route, imds, server, callers] = await Promise.all([
    sight(() => routeSight(options)),
    sight(() => httpSight(imdsAddress, VERSIONS_PATH)),
    sight(() => httpSight(reachableAt(listen), READY_PATH)),
    ask<Callers>(controlSocket, clock, { type: 'list-callers' }, 'callers').then(
      answer => answer.callers,
      () => undefined,
    ),
  ]);
  const { requireIdentity, policy: mode } = options;
  return {
    route,
    imds,
    server,
    policy: { mode, requireIdentity },
    ...(callers !== undefined && { callers }),
  };
}

async function sight(look: () => Promise<string>): Promise<Sight> {
  try {
    return { ok: true, seen: await look() };
  } catch (error) {
    return { ok: false, seen: messageOf(error) };
  }
}

async function routeSight({ imdsAddress, route, runner, platform }: CheckCommandOptions): Promise<string> {
  if (imdsAddress.host !== IMDS_ADDRESS) return `not needed: IMDS is at ${formatHostPort(imdsAddress)}`;
  if (route === 'off') return 'left to the operator (MSI_PROXY_ROUTE is off)';
  return await describeRoute({ runner, platform, logger: silentLogger });
}

async function httpSight(at: HostPort, path: string): Promise<string> {
  const status = await httpStatusOf(at, path);
  const seen = `${at.host}:${at.port} answers with status ${status}`;
  if (status === 200) return seen;
  throw new Error(seen);
}
