import { readFileSync } from 'node:fs';
import { IMDS_ADDRESS } from '@msi-proxy/shared';
import { type Engine } from '../../lab/index.ts';

/** What came of a load. */
export interface Load {
  readonly requests: number;
  /** Of each request that failed: its status, or the code of its error. */
  readonly failures: readonly string[];
  readonly longestGapMillis: number;
}

export interface LoadOptions {
  readonly connections: 'new' | 'kept';
  /** Probes need neither the caller nor IMDS. */
  readonly kind: 'token' | 'probe';
  readonly requestsASecond: number;
  /** Path and query of a token request. */
  readonly path: string;
}

const PROGRAM = readFileSync(new URL('load-client.mjs', import.meta.url), 'utf8');

/**
 * Starts a load from inside a container that has Node; settles when it is served.
 *
 * @returns ends the load
 */
export async function startLoad(
  engine: Engine,
  container: string,
  { connections, kind, requestsASecond, path }: LoadOptions,
): Promise<() => Promise<Load>> {
  const options = [connections, kind, String(requestsASecond), `http://${IMDS_ADDRESS}${path}`];
  const argv = ['node', '--input-type=module', '--eval', PROGRAM, ...options];
  const load = await engine.execWaiting(container, argv);
  return async () => JSON.parse(await load.go()) as Load;
}
