import { hopsOf, isSameHop, readJson, write, type Hop } from './ip-command.ts';
import type { RouteOptions, RouteOutcome } from './route-options.ts';

const TABLE = '43';
/** Behind the rule for our own addresses, also where `ensurePolicyRoute` has moved that one. */
const PRIORITY = 200;

/**
 * Makes what this namespace sends from `address` leave by `hop`. Requests come there translated by the VM, which has to
 * translate the answers back: one that went to its client by a network that both are on would not pass the VM's rules, where
 * frames on a bridge do not (`bridge-nf-call-iptables`).
 *
 * @throws {MsiProxyError} `MSI_ROUTE_NO_CAPABILITY` or `MSI_ROUTE_NOT_EFFECTIVE`
 */
export async function ensureAnswerRoute(
  address: string,
  hop: Hop,
  options: RouteOptions,
): Promise<RouteOutcome> {
  let outcome: RouteOutcome = 'in-place';
  const change = async (...argv: string[]): Promise<void> => {
    await write(options, argv);
    outcome = 'added';
  };
  // All tables: one that is not there yet is an error when it is asked for by its number.
  const routes = await readJson(options, ['route', 'show', 'table', 'all']);
  const own = routes.filter(({ table }) => table === TABLE);
  const [current] = hopsOf(own.filter(({ dst }) => dst === 'default'));
  const inTable = ['dev', hop.device, 'table', TABLE];
  if (!isSameHop(current, hop)) await change('route', 'replace', 'default', 'via', hop.gateway, ...inTable);
  // Neighbours on that network are no business of the VM's.
  const neighbours = routes.find(
    ({ table, dev, prefsrc, gateway }) =>
      table === undefined && dev === hop.device && prefsrc === address && gateway === undefined,
  )?.['dst'];
  const isThere = own.some(({ dst, dev }) => dst === neighbours && dev === hop.device);
  if (typeof neighbours === 'string' && !isThere) await change('route', 'replace', neighbours, ...inTable);

  const rules = (await readJson(options, ['rule', 'show'])).filter(({ priority }) => priority === PRIORITY);
  const rule = (source: string) => ['priority', String(PRIORITY), 'from', source, 'lookup', TABLE];
  if (!rules.some(({ src }) => src === address)) await change('rule', 'add', ...rule(address));
  for (const { src } of rules) {
    if (typeof src === 'string' && src !== address) await change('rule', 'delete', ...rule(src));
  }
  return outcome;
}
