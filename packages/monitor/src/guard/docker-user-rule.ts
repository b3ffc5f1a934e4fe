import { codeOf, type CommandRunner, IMDS_ADDRESS, type Logger, MsiProxyError } from '@msi-proxy/shared';
import { commandFailure } from '../command-failure.ts';
import type { ApplyResult } from '../wiring/wiring-method.ts';

const CHAIN = 'DOCKER-USER';
const COMMENT = 'msi-proxy';

/** Lets redirected requests, and the answers to them, pass Docker's isolation of networks from each other. */
const RULE = `-m conntrack --ctstate DNAT --ctorigdst ${IMDS_ADDRESS} -m comment --comment ${COMMENT} -j ACCEPT`;

/**
 * Docker writes through either of the kernel's two backends, and a program of the one does not see the rules of the
 * other. The `-save` program of the legacy one, other than its sibling, does not create that backend's tables by looking.
 */
const PROGRAM_FAMILIES = ['iptables', 'iptables-nft', 'iptables-legacy'] as const;

interface UserChain {
  readonly programs: (typeof PROGRAM_FAMILIES)[number];
  /** The rules of the chain as saved, without the chain's name. */
  readonly rules: readonly string[];
}

/**
 * Our one rule in the chain `DOCKER-USER`, at its top: users and Docker put a RETURN below which nothing is looked at.
 * An engine whose firewall backend is nftables has no such chain; its isolation is not lifted by this.
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
    if (describeDifferences(chain.rules).length === 0) return 'unchanged';
    const ours = chain.rules.filter(isOurs);
    await this.#change(chain, [...ours.map(deleteLine), `-I ${CHAIN} 1 ${RULE}`]);
    return ours.length === 0 ? 'applied' : 'repaired';
  }

  /** In words, how the chain differs from what {@link ensure} makes; empty when it does not. */
  async differences(): Promise<string[]> {
    const chain = await this.#read();
    return chain === undefined ? [] : describeDifferences(chain.rules);
  }

  /** @returns whether there was one */
  async remove(): Promise<boolean> {
    const chain = await this.#read();
    const ours = chain?.rules.filter(isOurs) ?? [];
    if (chain === undefined || ours.length === 0) return false;
    await this.#change(chain, ours.map(deleteLine));
    return true;
  }

  async #read(): Promise<UserChain | undefined> {
    let installed = false;
    for (const programs of PROGRAM_FAMILIES) {
      const saved = await this.#save(programs);
      if (saved === undefined) continue;
      installed = true;
      if (saved.some(line => line.startsWith(`:${CHAIN} `))) return { programs, rules: rulesOf(saved) };
    }
    if (installed) return undefined;
    throw new MsiProxyError('MSI_WIRING_NO_CAPABILITY', 'The program iptables is not installed');
  }

  /** @returns the lines of the `filter` table; undefined when the program is not installed */
  async #save(programs: UserChain['programs']): Promise<string[] | undefined> {
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
  async #change({ programs }: UserChain, lines: readonly string[]): Promise<void> {
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

/** The lines between `*filter` and its `COMMIT`; both backends can have each table once. */
function filterTable(lines: readonly string[]): string[] {
  const start = lines.indexOf('*filter');
  return start === -1 ? [] : lines.slice(start + 1, lines.indexOf('COMMIT', start));
}

function rulesOf(saved: readonly string[]): string[] {
  const prefix = `-A ${CHAIN} `;
  return saved.filter(line => line.startsWith(prefix)).map(line => line.slice(prefix.length));
}

function describeDifferences(rules: readonly string[]): string[] {
  const ours = rules.filter(isOurs);
  const [only] = ours;
  if (only === undefined) return [`${CHAIN}: the rule "${COMMENT}" is missing`];
  if (ours.length > 1) return [`${CHAIN}: the rule "${COMMENT}" is there ${ours.length} times`];
  if (!isAsWanted(only)) return [`${CHAIN}: the rule "${COMMENT}" was changed`];
  return rules[0] === only ? [] : [`${CHAIN}: the rule "${COMMENT}" is not the first one`];
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

function deleteLine(rule: string): string {
  return `-D ${CHAIN} ${rule}`;
}
