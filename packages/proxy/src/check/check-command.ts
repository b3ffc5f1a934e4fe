import type { Writable } from 'node:stream';
import {
  EXIT_FAILURE,
  EXIT_OK,
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
  readonly controlSocket: string;
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
  const { callers, ...sights } = check;
  if (format === 'json') options.stdout.write(`${JSON.stringify(check)}\n`);
  else {
    for (const [name, { ok, seen }] of Object.entries(sights))
      options.stdout.write(`${ok ? 'ok    ' : 'failed'}  ${name}: ${seen}\n`);
    if (callers !== undefined) options.stdout.write(`        knows ${callers.length} addresses\n`);
  }
  return Object.values(sights).every(({ ok }) => ok) ? EXIT_OK : EXIT_FAILURE;
}

async function lookAround(options: CheckCommandOptions): Promise<ProxyCheck> {
  const { listen, imdsAddress, controlSocket, runner, platform, clock } = options;
  const [route, imds, server, callers] = await Promise.all([
    sight(() => describeRoute({ runner, platform, logger: silentLogger })),
    sight(() => httpSight(imdsAddress, VERSIONS_PATH)),
    sight(() => httpSight(reachableAt(listen), READY_PATH)),
    ask<Callers>(controlSocket, clock, { type: 'list-callers' }, 'callers').then(
      answer => answer.callers,
      () => undefined,
    ),
  ]);
  return { route, imds, server, ...(callers !== undefined && { callers }) };
}

async function sight(look: () => Promise<string>): Promise<Sight> {
  try {
    return { ok: true, seen: await look() };
  } catch (error) {
    return { ok: false, seen: messageOf(error) };
  }
}

async function httpSight(at: HostPort, path: string): Promise<string> {
  const status = await httpStatusOf(at, path);
  const seen = `${at.host}:${at.port} answers with status ${status}`;
  if (status === 200) return seen;
  throw new Error(seen);
}
