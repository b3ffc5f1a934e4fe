import { IMDS_ADDRESS, IMDS_PORT, type Clock } from '@msi-proxy/shared';
import { cmdArgv, DELETE_RULE, ruleTo, SHOW_RULES } from './cmd-lines.ts';
import { markerOf, readObservation, type Section } from './cmd-output.ts';
import type { ContainerCommands } from './container-commands.ts';
import type { ForwardingShell } from './forwarding-shell.ts';
import { ownRule, type Observation, type ScriptFailure } from './observation.ts';
import { askArgv, readAnswer } from './ready-request.ts';
import { obstacleTo } from './obstacle.ts';
import type { ForwardTarget } from './powershell-script.ts';

const POLL_MILLIS = 500;
const MAX_PREFERRED_POLLS = 20;
const MAX_ANSWER_POLLS = 4;

/** Commands whose output is read, each under its heading. */
const OBSERVE = [
  under('user', 'echo %USERNAME%'),
  under('addresses', 'netsh interface ipv4 show ipaddresses'),
  under('service', 'sc query iphlpsvc'),
  under('rules', SHOW_RULES),
  under('listeners', 'netstat -ano -p tcp'),
];

/**
 * The command interpreter, for images without PowerShell (nanoserver). It cannot compare, so each step is a round trip; it
 * starts fast.
 */
export function cmd(commands: ContainerCommands, clock: Clock): ForwardingShell {
  return new Cmd(commands, clock);
}

class Cmd implements ForwardingShell {
  readonly #commands: ContainerCommands;
  readonly #clock: Clock;

  constructor(commands: ContainerCommands, clock: Clock) {
    this.#commands = commands;
    this.#clock = clock;
  }

  async ensure(clientAddress: string, target: ForwardTarget): Promise<Observation | undefined> {
    const before = await this.#observe(clientAddress);
    if (before === undefined || obstacleTo(before, target) === undefined) return before;
    if (before.failure !== undefined) return before;
    // Before the address is put on, or kept: what has the address that it leads to may be another container by now.
    const safe = isStale(before, target) ? await this.#withoutRule(before) : before;
    if (isStale(safe, target)) return failed(safe, 'stale-rule', `netsh did not delete it (as ${safe.user})`);
    const { interfaceIndex } = safe;
    if (interfaceIndex === undefined) return failed(safe, 'interface', 'no-interface');
    if (safe.service === 'absent') return failed(safe, 'service', 'no-service');

    const changes = [...safe.changes, ...(await this.#settle(safe, interfaceIndex))];
    const settled = await this.#preferred(clientAddress);
    const problem = await this.#settlingProblem(settled, interfaceIndex);
    if (problem !== undefined) return { ...settled, changes, failure: problem };

    const forwarding = await this.#forward(settled, target);
    const after = (await this.#observe(clientAddress)) ?? settled;
    const all = { ...after, changes: [...changes, ...forwarding.changes] };
    return forwarding.reachable ? all : failed(all, 'rule', 'proxy-unreachable');
  }

  async remove(clientAddress: string): Promise<Observation | undefined> {
    const before = await this.#observe(clientAddress);
    if (before === undefined) return undefined;
    const lines = ownRule(before) === undefined ? [] : [DELETE_RULE];
    lines.push(...before.addresses.map(({ interfaceIndex }) => deleteAddress(interfaceIndex)));
    if (lines.length === 0) return before;
    await this.#run(lines);
    return await this.#observe(clientAddress);
  }

  async #observe(clientAddress: string): Promise<Observation | undefined> {
    const stdout = await this.#run(OBSERVE);
    if (stdout === undefined) return undefined;
    const seen = readObservation(stdout, clientAddress);
    // Without the address, the request would leave the container.
    if (seen.addresses.length === 0) return seen;
    const answer = await this.#ask(IMDS_ADDRESS, IMDS_PORT);
    return answer === undefined ? seen : { ...seen, answer };
  }

  /** @returns the observation with the rules that are there afterwards */
  async #withoutRule(before: Observation): Promise<Observation> {
    const stdout = await this.#run([DELETE_RULE, under('rules', SHOW_RULES)]);
    if (stdout === undefined) return before;
    return { ...before, changes: ['retarget'], rules: readObservation(stdout, '').rules };
  }

  /** Address and service; a wrong address goes first, and before it the rule that listens on it. */
  async #settle(
    { addresses, service, ...rest }: Observation,
    interfaceIndex: number,
  ): Promise<readonly string[]> {
    const lines: string[] = [];
    const changes: string[] = [];
    const [entry] = addresses;
    const isUsable =
      addresses.length === 1 &&
      entry?.interfaceIndex === interfaceIndex &&
      !['Duplicate', 'Invalid', 'Deprecated'].includes(entry.state);
    if (addresses.length > 0 && !isUsable) {
      if (ownRule({ addresses, service, ...rest }) !== undefined) lines.push(DELETE_RULE);
      lines.push(...addresses.map(wrong => deleteAddress(wrong.interfaceIndex)));
      changes.push('wrong-address');
    }
    if (!isUsable) {
      lines.push(
        `netsh interface ipv4 set interface ${interfaceIndex} dadtransmits=0 store=active`,
        `netsh interface ipv4 add address ${interfaceIndex} ${IMDS_ADDRESS} 255.255.255.255 store=active skipassource=true`,
      );
      changes.push('address');
    }
    if (service !== 'running') {
      lines.push('sc config iphlpsvc start= demand', 'net start iphlpsvc');
      changes.push('service');
    }
    if (lines.length > 0) await this.#run(lines);
    return changes;
  }

  /** Reads until the address is usable, or cannot become so. */
  async #preferred(clientAddress: string): Promise<Observation> {
    let polls = 0;
    for (;;) {
      const seen = readObservation((await this.#run(OBSERVE)) ?? '', clientAddress);
      polls += 1;
      if (seen.addresses[0]?.state !== 'Tentative' || polls === MAX_PREFERRED_POLLS) return seen;
      await this.#pause();
    }
  }

  async #settlingProblem(
    { addresses, service, user }: Observation,
    interfaceIndex: number,
  ): Promise<ScriptFailure | undefined> {
    const state = addresses[0]?.state;
    if (state === undefined) {
      return { step: 'address', message: `netsh did not add it (as ${user})`, id: '' };
    }
    if (state === 'Duplicate') {
      await this.#run([deleteAddress(interfaceIndex)]);
      return { step: 'preferred', message: 'duplicate', id: '' };
    }
    if (state === 'Tentative') return { step: 'preferred', message: 'not-preferred', id: '' };
    if (service !== 'running')
      return { step: 'service', message: `it is ${service} after its start`, id: '' };
    return undefined;
  }

  /** Sets the rule, and proves it; what does not help is followed by a stronger remedy (protocol.md 4.2). */
  async #forward(
    seen: Observation,
    target: ForwardTarget,
  ): Promise<{ readonly changes: readonly string[]; readonly reachable: boolean }> {
    const { address, port } = target;
    const isListed = ownRule(seen) !== undefined && !isStale(seen, target);
    const isTarget = async (where: string, at: number) =>
      (await this.#ask(where, at))?.instanceId === target.instanceId;

    if (isListed && (await isTarget(IMDS_ADDRESS, IMDS_PORT))) return { changes: [], reachable: true };
    // What follows ends connections, which is no remedy for a proxy that does not answer.
    if (!(await isTarget(address, port))) return { changes: [], reachable: false };

    const changes: string[] = [];
    const remedies = {
      set: [ruleTo(target, 'set')],
      replace: [DELETE_RULE, ruleTo(target, 'add')],
      restart: ['net stop iphlpsvc /y', 'net start iphlpsvc'],
    };
    for (const [remedy, lines] of Object.entries(remedies)) {
      changes.push(remedy);
      await this.#run(lines);
      for (let polls = 0; polls < MAX_ANSWER_POLLS; polls += 1) {
        if (polls > 0) await this.#pause();
        if (await isTarget(IMDS_ADDRESS, IMDS_PORT)) return { changes, reachable: true };
      }
    }
    return { changes, reachable: true };
  }

  async #ask(address: string, port: number): Promise<Observation['answer']> {
    return readAnswer((await this.#run([askArgv(address, port).join(' ')])) ?? '');
  }

  /** @returns what the commands printed; undefined when there is no command interpreter */
  async #run(lines: readonly string[]): Promise<string | undefined> {
    return (await this.#commands.run(cmdArgv(lines)))?.stdout;
  }

  async #pause(): Promise<void> {
    await new Promise<void>(resolve => {
      this.#clock.setTimer(resolve, POLL_MILLIS);
    });
  }
}

/** Whether a rule is there that leads elsewhere. */
function isStale(seen: Observation, { address, port }: ForwardTarget): boolean {
  const rule = ownRule(seen);
  return rule !== undefined && (rule.connectAddress !== address || rule.connectPort !== port);
}

function under(section: Section, command: string): string {
  return `echo ${markerOf(section)}&${command}`;
}

function deleteAddress(interfaceIndex: number): string {
  return `netsh interface ipv4 delete address ${interfaceIndex} ${IMDS_ADDRESS} store=active`;
}

function failed(observation: Observation, step: string, message: string): Observation {
  return { ...observation, failure: { step, message, id: '' } };
}
