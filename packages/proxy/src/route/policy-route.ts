import { IMDS_ADDRESS } from '@msi-proxy/shared';
import { hopsOf, isSameHop, readJson, write, type Hop } from './ip-command.ts';
import type { RouteOptions, RouteOutcome } from './route-options.ts';

const DESTINATION = `${IMDS_ADDRESS}/32`;
const TABLE = '42';
const IMDS_PRIORITY = 10;
/** Where the rule for our own addresses is afterwards: behind the rule for IMDS. */
const LOCAL_PRIORITY = 100;

/**
 * Makes what this namespace itself sends to 169.254.169.254 leave it, although the address is, or soon will be, its own:
 * the kernel asks the rule for its own addresses first (ip-rule(8)), so that one is moved behind a rule for IMDS. What
 * others send to the address still arrives here.
 *
 * @throws {MsiProxyError} `MSI_ROUTE_NO_CAPABILITY` or `MSI_ROUTE_NOT_EFFECTIVE`
 */
export async function ensurePolicyRoute(hop: Hop, options: RouteOptions): Promise<RouteOutcome> {
  let outcome: RouteOutcome = 'in-place';
  const change = async (...argv: string[]): Promise<void> => {
    await write(options, argv);
    outcome = 'added';
  };
  // All tables: one that is not there yet is an error when it is asked for by its number.
  const routes = await readJson(options, ['route', 'show', 'table', 'all']);
  const toImds = routes.filter(({ dst }) => dst === IMDS_ADDRESS);
  const current = hopsOf(toImds.filter(({ table }) => table === TABLE));
  if (current.length !== 1 || !isSameHop(current[0], hop)) {
    await change('route', 'replace', DESTINATION, 'via', hop.gateway, 'dev', hop.device, 'table', TABLE);
  }

  const rules = await readJson(options, ['rule', 'show']);
  const has = (priority: number, table: string) =>
    rules.some(rule => rule['priority'] === priority && rule['table'] === table);
  if (!has(IMDS_PRIORITY, TABLE)) {
    const selector = ['to', DESTINATION, 'iif', 'lo'];
    await change('rule', 'add', 'priority', String(IMDS_PRIORITY), ...selector, 'lookup', TABLE);
  }
  // In this order: a namespace without a rule for its own addresses receives nothing.
  if (!has(LOCAL_PRIORITY, 'local')) {
    await change('rule', 'add', 'priority', String(LOCAL_PRIORITY), 'lookup', 'local');
  }
  if (has(0, 'local')) await change('rule', 'delete', 'priority', '0', 'lookup', 'local');
  // The engine gives a container no address that its main table has a route to: "conflicts with existing route" (seen with
  // Docker 20.10).
  if (hopsOf(toImds.filter(({ table }) => table === undefined)).length > 0) {
    await change('route', 'delete', DESTINATION);
  }
  return outcome;
}
