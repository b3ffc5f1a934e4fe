import { codeOf, type CommandRunner, IMDS_ADDRESS, type Logger, MsiProxyError } from '@msi-proxy/shared';
import { commandFailure } from '../command-failure.ts';
import type { ApplyResult } from '../wiring/wiring-method.ts';

const CHAIN = 'DOCKER-USER';
const PARENT = 'FORWARD';
const COMMENT = 'msi-proxy';
const CHAINS = [CHAIN, PARENT] as const;

/** Lets redirected requests, and the answers to them, pass Docker's isolation of networks from each other. */
const RULE = `-m conntrack --ctstate DNAT --ctorigdst ${IMDS_ADDRESS} -m comment --comment ${COMMENT} -j ACCEPT`;

/**
 * Docker writes through either of the kernel's two backends, and a program of the one does not see the rules of the
 * other. The `-save` program of the legacy one, other than its sibling, does not create that backend's tables by looking.
 */
const PROGRAM_FAMILIES = ['iptables', 'iptables-nft', 'iptables-legacy'] as const;

interface Filter {
  readonly programs: (typeof PROGRAM_FAMILIES)[number];
  /** The rules as saved, by chain, without the chain's name. */
  readonly rules: Readonly<Record<typeof CHAIN | typeof PARENT, readonly string[]>>;
}

/**
 * Our rule in the chain `DOCKER-USER`, at its top: users and Docker put a RETURN below which nothing is looked at. Docker
 * means that chain to come before its own rules, but an engine that restarts with live-restore puts its isolation of
 * networks first (seen with 20.10); then the rule is at the top of `FORWARD` too. An engine whose firewall backend is
 * nftables has no such chain; its isolation is not lifted by this.
 */
export class DockerUserRule {
  readonly #runner: CommandRunner;
  readonly #logger: Logger;
  #absenceLogged = false;

  constructor({ runner, logger }: { runner: CommandRunner; logger: Logger }) {
    this.#runner = runner;
    this.#logger = logger;
  }

  /** @throws {MsiProxyError} `MSI_WIRING_NO_CAPABILITY`, `MSI_WIRING_COMMAND` */
  async ensure(): Promise<ApplyResult> {
    const chain = await this.#read();
    if (chain === undefined) {
      this.#logAbsence();
      return 'unchanged';
    }
    this.#absenceLogged = false;
    const differing = CHAINS.filter(name => describeDifferences(chain, name).length > 0);
    if (differing.length === 0) return 'unchanged';
    const lines = differing.flatMap(name => [
      ...chain.rules[name].filter(isOurs).map(rule => deleteLine(name, rule)),
      ...(isWantedIn(chain, name) ? [`-I ${name} 1 ${RULE}`] : []),
    ]);
    await this.#change(chain, lines);
    return chain.rules[CHAIN].some(isOurs) ? 'repaired' : 'applied';
  }

  /** In words, how the chains differ from what {@link ensure} makes; empty when nothing is missing. */
  async differences(): Promise<string[]> {
    const chain = await this.#read();
    if (chain === undefined) return [];
    // One that is not needed does no harm, and Docker's next network may need it for a moment.
    return CHAINS.filter(name => isWantedIn(chain, name)).flatMap(name => describeDifferences(chain, name));
  }

  /** The family of programs through which Docker filters here; undefined where it has no such chain. */
  async programs(): Promise<string | undefined> {
    return (await this.#read())?.programs;
  }

  /** @returns whether there was one */
  async remove(): Promise<boolean> {
    const chain = await this.#read();
    if (chain === undefined) return false;
    const lines = CHAINS.flatMap(name =>
      chain.rules[name].filter(isOurs).map(rule => deleteLine(name, rule)),
    );
    if (lines.length === 0) return false;
    await this.#change(chain, lines);
    return true;
  }

  async #read(): Promise<Filter | undefined> {
    let installed = false;
    for (const programs of PROGRAM_FAMILIES) {
      const saved = await this.#save(programs);
      if (saved === undefined) continue;
      installed = true;
      if (saved.some(line => line.startsWith(`:${CHAIN} `))) {
        return { programs, rules: { [CHAIN]: rulesOf(saved, CHAIN), [PARENT]: rulesOf(saved, PARENT) } };
      }
    }
    if (installed) return undefined;
    throw new MsiProxyError('MSI_WIRING_NO_CAPABILITY', 'The program iptables is not installed');
  }

  /** @returns the lines of the `filter` table; undefined when the program is not installed */
  async #save(programs: Filter['programs']): Promise<string[] | undefined> {
    const file = `${programs}-save`;
    const result = await this.#runner.run(file, []).catch((error: unknown) => {
      if (codeOf(error) === 'MSI_WIRING_NO_CAPABILITY') return undefined;
      throw error;
    });
    if (result === undefined) return undefined;
    if (result.exitCode !== 0) throw commandFailure(file, result, `read the chain ${CHAIN}`);
    return filterTable(result.stdout.split('\n'));
  }

  /** In one transaction, so that the rule is never missing while it moves. */
  async #change({ programs }: Filter, lines: readonly string[]): Promise<void> {
    const file = `${programs}-restore`;
    const stdin = ['*filter', ...lines, 'COMMIT', ''].join('\n');
    const result = await this.#runner.run(file, ['--noflush', '--wait', '5'], { stdin });
    if (result.exitCode !== 0) throw commandFailure(file, result, `change the chain ${CHAIN}`);
  }

  #logAbsence(): void {
    if (this.#absenceLogged) return;
    this.#absenceLogged = true;
    this.#logger.info(
      `There is no chain ${CHAIN}: Docker does not filter with iptables here, and its isolation of networks is not lifted`,
    );
  }
}

/**
 * Whether a difference may be gone at the next look: Docker takes its jumps out of `FORWARD` and puts them back one by one
 * whenever it makes a network, each by a program of its own.
 */
export function mayPass(difference: string): boolean {
  return difference.startsWith(`${PARENT}: `);
}

/** The lines between `*filter` and its `COMMIT`; both backends can have each table once. */
function filterTable(lines: readonly string[]): string[] {
  const start = lines.indexOf('*filter');
  return start === -1 ? [] : lines.slice(start + 1, lines.indexOf('COMMIT', start));
}

function rulesOf(saved: readonly string[], chain: string): string[] {
  const prefix = `-A ${chain} `;
  return saved.filter(line => line.startsWith(prefix)).map(line => line.slice(prefix.length));
}

/** In `FORWARD` only where Docker's own chain for users comes too late. */
function isWantedIn({ rules }: Filter, chain: (typeof CHAINS)[number]): boolean {
  if (chain === CHAIN) return true;
  const [first] = rules[PARENT].filter(rule => !isOurs(rule));
  return first !== undefined && first !== `-j ${CHAIN}`;
}

function describeDifferences(filter: Filter, chain: (typeof CHAINS)[number]): string[] {
  const rules = filter.rules[chain];
  const ours = rules.filter(isOurs);
  const [only] = ours;
  if (!isWantedIn(filter, chain))
    return ours.length === 0 ? [] : [`${chain}: the rule "${COMMENT}" is not needed`];
  if (only === undefined) return [`${chain}: the rule "${COMMENT}" is missing`];
  if (ours.length > 1) return [`${chain}: the rule "${COMMENT}" is there ${ours.length} times`];
  if (!isAsWanted(only)) return [`${chain}: the rule "${COMMENT}" was changed`];
  return rules[0] === only ? [] : [`${chain}: the rule "${COMMENT}" is not the first one`];
}

function isOurs(rule: string): boolean {
  return tokens(rule).some((token, at, all) => token === COMMENT && all[at - 1] === '--comment');
}

function isAsWanted(rule: string): boolean {
  return tokens(rule).toSorted().join(' ') === tokens(RULE).toSorted().join(' ');
}

/** Versions of iptables differ in the order of matches, in quotes and in whether a single address has a mask. */
function tokens(rule: string): string[] {
  return rule.split(' ').map(token => token.replaceAll('"', '').replace(/\/32$/, ''));
}

function deleteLine(chain: string, rule: string): string {
  return `-D ${chain} ${rule}`;
}
