import type { CommandResult, CommandRunner } from '@msi-proxy/shared';

export interface FakeRoute {
  readonly dst: string;
  readonly gateway?: string;
  readonly dev: string;
  readonly prefsrc?: string;
}

export interface FakeKernelState {
  routes: FakeRoute[];
  /** Address by interface. */
  readonly addresses: Readonly<Record<string, string>>;
}

/** A rule of the routing policy. */
export interface FakeRule {
  readonly priority: number;
  readonly src: string;
  readonly table: string;
}

/** `ip` of iproute2 on a routing table in memory. Answers have the form of `ip -json`, iproute2 6.1. */
export class FakeKernel implements CommandRunner {
  readonly state: FakeKernelState;
  /** Routes of other tables than the main one. */
  policyRoutes: (FakeRoute & { readonly table: string })[] = [];
  rules: FakeRule[] = [
    { priority: 0, src: 'all', table: 'local' },
    { priority: 32_766, src: 'all', table: 'main' },
  ];
  /** Commands that change something. */
  readonly writes: string[] = [];
  /** What `ip route replace` answers instead of doing it. */
  refusal: string | undefined;
  /** Whether `ip route replace` says that it did it, and did not. */
  ignoresWrites = false;

  constructor(state: FakeKernelState) {
    this.state = state;
  }

  async run(file: string, argv: readonly string[]): Promise<CommandResult> {
    await Promise.resolve();
    const command = [file, ...argv].join(' ');
    switch (command) {
      case 'ip -json route show default':
        return json(this.state.routes.filter(({ dst }) => dst === 'default'));
      case 'ip -json route show 169.254.169.254/32':
        return json(this.state.routes.filter(({ dst }) => dst === '169.254.169.254'));
      case 'ip -json route get 169.254.169.254':
        return this.#lookUp();
      case 'ip -json route show table all':
        return json([...this.state.routes, ...this.policyRoutes]);
      case 'ip -json rule show':
        return json(this.rules);
      case 'ip -json -4 address show':
        return json(
          Object.entries(this.state.addresses).map(([ifname, local]) => ({
            ifname,
            addr_info: [{ family: 'inet', local, prefixlen: 16, scope: 'global' }],
          })),
        );
      default:
        return this.#write(command, argv);
    }
  }

  #lookUp(): CommandResult {
    const route = this.#effectiveRoute();
    if (route === undefined) return failed('RTNETLINK answers: Network is unreachable\n');
    return json([{ ...route, dst: '169.254.169.254', prefsrc: this.state.addresses[route.dev], cache: [] }]);
  }

  #effectiveRoute(): FakeRoute | undefined {
    const holder = Object.entries(this.state.addresses).find(([, address]) => address === '169.254.169.254');
    for (const { table, src } of this.rules.sort((a, b) => a.priority - b.priority)) {
      // What begins here has no source yet.
      if (src !== 'all') continue;
      if (table === 'local' && holder !== undefined) return { dst: 'local', dev: 'lo' };
      const policy = this.policyRoutes.find(route => route.table === table);
      if (policy !== undefined) return policy;
    }
    return (
      this.state.routes.find(({ dst }) => dst === '169.254.169.254') ??
      this.state.routes.find(({ dst }) => dst === 'default')
    );
  }

  #write(command: string, argv: readonly string[]): CommandResult {
    const apply = this.#changeOf(command);
    if (apply === undefined) throw new Error(`an unexpected command: ${argv.join(' ')}`);
    this.writes.push(command);
    if (this.refusal !== undefined) return failed(this.refusal);
    if (!this.ignoresWrites) apply();
    return { exitCode: 0, stdout: '', stderr: '' };
  }

  #changeOf(command: string): (() => void) | undefined {
    const replace = /^ip route replace (\S+)(?: via (\S+))? dev (\S+)(?: table (\S+))?$/.exec(command);
    if (replace !== null) {
      const [, prefix = '', gateway, dev = '', table] = replace;
      const route = { dst: prefix.replace(/\/32$/, ''), ...(gateway !== undefined && { gateway }), dev };
      return () => {
        if (table === undefined) {
          const others = this.state.routes.filter(({ dst }) => dst !== route.dst);
          this.state.routes = [...others, route];
          return;
        }
        const others = this.policyRoutes.filter(each => each.dst !== route.dst || each.table !== table);
        this.policyRoutes = [...others, { ...route, table }];
      };
    }
    if (command === 'ip route delete 169.254.169.254/32') {
      return () => {
        this.state.routes = this.state.routes.filter(({ dst }) => dst !== '169.254.169.254');
      };
    }
    const rule = /^ip rule (add|delete) priority (\d+) (?:from (\S+) )?(?:to \S.* )?lookup (\S+)$/.exec(
      command,
    );
    if (rule === null) return undefined;
    const [, verb, priority, src = 'all', table = ''] = rule;
    return () => {
      const others = this.rules.filter(each => each.priority !== Number(priority) || each.src !== src);
      this.rules = verb === 'add' ? [...others, { priority: Number(priority), src, table }] : others;
    };
  }
}

function json(value: unknown): CommandResult {
  return { exitCode: 0, stdout: `${JSON.stringify(value)}\n`, stderr: '' };
}

function failed(stderr: string): CommandResult {
  return { exitCode: 2, stdout: '', stderr };
}
