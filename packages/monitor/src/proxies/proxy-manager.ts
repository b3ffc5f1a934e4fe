import {
  MAX_GIVEN_TOKENS,
  printable,
  type CallerReport,
  type ClientTraffic,
  type Clock,
  type GivenToken,
  type Logger,
  type ProxyState,
  type ProxyStatus,
  type Refusal,
  type Report,
} from '@msi-proxy/shared';
import type { KeptTokens } from '../control/kept-tokens.ts';
import type { ContainerDetails } from '../docker/index.ts';
import type { MeasuredProxy } from '../metrics/monitor-metrics.ts';
import type { ProxyTarget } from '../wiring/wiring-method.ts';
import { electServing } from './election.ts';
import { ProxyMember, type ProxyMemberOptions } from './proxy-member.ts';

export interface ProxyManagerOptions extends Omit<ProxyMemberOptions, 'onChange'> {
  /**
   * Another proxy serves, or none, or the same one at another address.
   * @returns settles when clients are sent there
   */
  readonly onServingChange: (serving: ProxyMember | undefined, left: LeftProxies) => Promise<void>;
  /**
   * Still none serves, as always while a monitor starts: clients go where an earlier one has sent them.
   * @param mayAnswer the addresses of the proxies that may answer them there
   */
  readonly onNoneYet: (mayAnswer: readonly string[]) => void;
}

/** Those that do not serve any more. */
export interface LeftProxies {
  /** Whether the one before may still answer on its connections: it said that it stops, or is silent only. */
  readonly mayStillAnswer: boolean;
  /** The addresses of all that may: an earlier monitor's choice may have been any of them. */
  readonly stillAnswering: readonly string[];
}

interface Known {
  readonly member: ProxyMember;
  state: ProxyState;
  reason: string | undefined;
  sinceMillis: number;
}

/** All proxies of the VM: one serves, the others stand by. */
export class ProxyManager {
  readonly #options: ProxyManagerOptions;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #known = new Map<string, Known>();
  readonly #counts = new WeakMap<Report, ReadonlyMap<string, CallerReport>>();
  #serving: ProxyMember | undefined;
  #servingTarget: ProxyTarget | undefined;
  /** Settles when clients are sent to the one that serves. */
  #moved: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(options: ProxyManagerOptions) {
    this.#options = options;
    this.#clock = options.clock;
    this.#logger = options.logger;
  }

  get serving(): ProxyMember | undefined {
    return this.#serving;
  }

  get target(): ProxyTarget | undefined {
    return this.#serving?.target;
  }

  /** Follows exactly these containers. */
  update(containers: readonly ContainerDetails[]): void {
    if (this.#stopped) return;
    const present = new Set(containers.map(keyOf));
    for (const [key, { member }] of this.#known) {
      if (present.has(key)) continue;
      this.#known.delete(key);
      void member.stop();
    }
    for (const container of containers) {
      const known = this.#known.get(keyOf(container));
      if (known !== undefined) known.member.update(container);
      else this.#follow(container);
    }
    this.elect();
  }

  /** Looks at all proxies again; to be called whenever something about them may have changed. */
  elect(): void {
    if (this.#stopped) return;
    const members = [...this.#known.values()].map(({ member }) => member);
    const previous = this.#serving;
    const next = electServing(members, previous);
    const target = next?.target;
    const mayAnswer = members.flatMap(member => (member.mayStillAnswer ? (member.address ?? []) : []));
    if (
      next !== previous ||
      target?.address !== this.#servingTarget?.address ||
      target?.port !== this.#servingTarget?.port
    ) {
      this.#serving = next;
      this.#servingTarget = target;
      this.#moved = this.#options.onServingChange(next, {
        mayStillAnswer: previous?.mayStillAnswer === true,
        stillAnswering: mayAnswer,
      });
    } else if (next === undefined) {
      this.#options.onNoneYet(mayAnswer);
    }
    this.#assignRoles();
    for (const known of this.#known.values()) this.#note(known);
  }

  status(): ProxyStatus[] {
    return [...this.#known.values()].map(({ member, state, reason, sinceMillis }) => {
      const { address, welcome, report } = member;
      return {
        containerId: member.containerId,
        name: member.container.name,
        state,
        since: new Date(sinceMillis).toISOString(),
        ...(reason !== undefined && { reason }),
        ...(address !== undefined && { address }),
        ...(welcome !== undefined && { version: welcome.proxyVersion, instanceId: welcome.instanceId }),
        ...(report !== undefined && { imds: imdsOf(report) }),
      };
    });
  }

  /** What the proxies measured last. */
  get measured(): MeasuredProxy[] {
    return [...this.#known.values()].flatMap(({ member }) =>
      member.session === undefined
        ? []
        : [
            {
              name: member.container.name,
              version: member.welcome?.proxyVersion ?? '',
              numbers: member.session.metrics,
            },
          ],
    );
  }

  /** What the proxies counted for a container, over all of them. */
  trafficOf(containerId: string): ClientTraffic | undefined {
    const own = [...this.#known.values()].flatMap(({ member }) =>
      member.report === undefined ? [] : (this.#countsIn(member.report).get(containerId) ?? []),
    );
    if (own.length === 0) return undefined;
    const lastRefusal = own
      .flatMap(report => report.lastRefusal ?? [])
      .reduce<Refusal | undefined>(
        (last, next) => (last === undefined || next.at > last.at ? next : last),
        undefined,
      );
    return {
      requests: own.reduce((sum, { requests }) => sum + requests, 0),
      refusals: own.reduce((sum, { refusals }) => sum + refusals, 0),
      ...(lastRefusal !== undefined && {
        lastRefusal: { at: printable(lastRefusal.at), reason: printable(lastRefusal.reason) },
      }),
    };
  }

  /** What the serving proxy keeps, as far as {@link refreshTokens} has asked. */
  get tokens(): KeptTokens | undefined {
    return this.#serving?.session?.tokens;
  }

  /** Asks the serving proxy what it keeps, unless that was done just now. */
  async refreshTokens(): Promise<void> {
    await this.#serving?.session?.refreshTokens();
  }

  /** Ends the sessions. Whoever serves goes on serving. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all([...this.#known.values()].map(({ member }) => member.stop()));
    this.#known.clear();
  }

  /** A report is looked at once for each client. */
  #countsIn(report: Report): ReadonlyMap<string, CallerReport> {
    const known = this.#counts.get(report);
    if (known !== undefined) return known;
    const counts = new Map(report.callers.map(caller => [caller.containerId, caller]));
    this.#counts.set(report, counts);
    return counts;
  }

  #follow(container: ContainerDetails): void {
    const member = new ProxyMember(container, { ...this.#options, onChange: () => this.elect() });
    const known: Known = {
      member,
      state: 'starting',
      reason: undefined,
      sinceMillis: this.#clock.wallMillis(),
    };
    this.#known.set(keyOf(container), known);
    this.#logger.info('Found a proxy', { containerId: container.id, container: container.name });
    member.start();
  }

  /** One that hears that it stands by may stop, so it is told only when no more clients are sent to it. */
  #assignRoles(): void {
    this.#serving?.session?.setRole('serving');
    void this.#moved.then(() => {
      for (const { member } of this.#known.values()) {
        if (member === this.#serving) continue;
        // Before its route leads there, what it asks of IMDS would be a stranger's request to the proxy that serves.
        member.session?.setRole('standby', member.reachesImds ? givenTokensOf(this.#serving) : undefined);
      }
    });
  }

  #note(known: Known): void {
    const { member } = known;
    const state = this.#stateOf(member);
    known.reason = member.obstacle;
    if (state === known.state) return;
    known.state = state;
    known.sinceMillis = this.#clock.wallMillis();
  }

  #stateOf(member: ProxyMember): ProxyState {
    if (member === this.#serving) return 'serving';
    if (member.obstacle === undefined) return 'standby';
    return member.welcome === undefined ? 'starting' : 'unhealthy';
  }
}

function imdsOf({ upstream: { state, lastError } }: Report): NonNullable<ProxyStatus['imds']> {
  return { state, ...(lastError !== undefined && { lastError: printable(lastError) }) };
}

/** A restart keeps the id; everything else about the proxy is new. */
function keyOf({ id, startedAt }: ContainerDetails): string {
  return `${id} ${startedAt}`;
}

/** Passed on as they are: the proxy that gets them judges each. `undefined` when nobody says, which changes nothing there. */
function givenTokensOf(serving: ProxyMember | undefined): readonly GivenToken[] | undefined {
  const tokens: unknown = serving?.report?.givenTokens;
  return Array.isArray(tokens) ? (tokens.slice(0, MAX_GIVEN_TOKENS) as GivenToken[]) : undefined;
}
