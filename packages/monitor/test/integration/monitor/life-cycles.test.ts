import assert from 'node:assert/strict';
import { CLIENT_LABEL, IDENTITY_LABEL } from '@msi-proxy/shared';
import { FakeClock } from '@msi-proxy/shared/testing';
import fc from 'fast-check';
import { MonitoredVm } from '../../support/monitored-vm.ts';
import { PassingTime } from '../../support/passing-time.ts';
import { until } from '../../support/until.ts';

const RUNS = 10;
const COMMANDS_OF_A_RUN = 70;
/** More with `MSI_PROXY_TEST_STEPS=20000`. */
const LEAST_STEPS = Number(process.env['MSI_PROXY_TEST_STEPS'] ?? 500);

/** So many times as fast as the system's clock, on which the fake engine and the fake proxies are. */
const SPEED = 20;
const PULSE_MILLIS = 20;
const RESYNC_MILLIS = 4_000;
const PATIENCE_MILLIS = 20_000;

type Kind = 'client' | 'malformed' | 'unlabelled' | 'proxy';

interface Container {
  readonly name: string;
  readonly kind: Kind;
  state: 'running' | 'paused' | 'stopped' | 'removed';
  readonly networks: Set<string>;
}

/** What should be, as far as the test itself has made it. */
class Model {
  readonly containers: Container[] = [];
  readonly networks: readonly string[] = ['bridge', 'net-a', 'net-b'];
  started = 0;
  steps = 0;

  /** The one of those that it applies to; the number comes from the generator. */
  pick(number: number, applies: (container: Container) => boolean): Container | undefined {
    const suited = this.containers.filter(applies);
    return suited[number % suited.length];
  }
}

type Command = fc.AsyncCommand<Model, MonitoredVm>;
type Step = (model: Model, vm: MonitoredVm) => void | Promise<void>;

function command(text: string, applies: (model: Model) => boolean, step: Step): Command {
  return {
    check: applies,
    async run(model, vm) {
      model.steps += 1;
      await step(model, vm);
    },
    toString: () => text,
  };
}

/** A change of one of the containers that it applies to. */
function change(
  text: string,
  number: number,
  applies: (container: Container) => boolean,
  step: (container: Container, vm: MonitoredVm) => void,
): Command {
  return command(
    `${text} ${number}`,
    model => model.pick(number, applies) !== undefined,
    (model, vm) => {
      const container = model.pick(number, applies);
      if (container !== undefined) step(container, vm);
    },
  );
}

const isUp = ({ state }: Container) => state === 'running' || state === 'paused';
const isRunning = ({ state }: Container) => state === 'running';

const LABELS: Readonly<Record<Exclude<Kind, 'proxy'>, Readonly<Record<string, string>>>> = {
  client: { [CLIENT_LABEL]: '' },
  malformed: { [CLIENT_LABEL]: '', [IDENTITY_LABEL]: '$(reboot)' },
  unlabelled: { [CLIENT_LABEL.toLowerCase()]: '', 'com.msi-proxy.identity': 'system' },
};

const start = fc
  .tuple(
    fc.constantFrom<Kind>('client', 'client', 'client', 'malformed', 'unlabelled', 'proxy'),
    fc.constantFrom('bridge', 'net-a', 'net-b'),
  )
  .map(([kind, network]) =>
    command(
      `start ${kind} on ${network}`,
      ({ containers }) =>
        kind !== 'proxy' || containers.filter(container => container.kind === kind).length < 3,
      (model, vm) => {
        const name = `${kind}-${(model.started += 1)}`;
        model.containers.push({ name, kind, state: 'running', networks: new Set([network]) });
        if (kind === 'proxy') vm.runProxy(name, { network });
        else vm.engine.run({ name, network, labels: LABELS[kind] });
      },
    ),
  );

const changes = fc.nat({ max: 30 }).chain(number =>
  fc.constantFrom(
    change('remove', number, isUp, (container, vm) => {
      vm.engine.removeContainer(container.name);
      container.state = 'removed';
    }),
    change('stop', number, isRunning, (container, vm) => {
      vm.engine.stopContainer(container.name);
      container.state = 'stopped';
    }),
    change(
      'start again',
      number,
      ({ state }) => state === 'stopped',
      (container, vm) => {
        vm.engine.state.start(container.name);
        container.state = 'running';
      },
    ),
    change('restart', number, isRunning, ({ name }, vm) => vm.engine.restartContainer(name)),
    change('pause', number, isRunning, (container, vm) => {
      vm.engine.state.setPaused(container.name, true);
      container.state = 'paused';
    }),
    change(
      'unpause',
      number,
      ({ state }) => state === 'paused',
      (container, vm) => {
        vm.engine.state.setPaused(container.name, false);
        container.state = 'running';
      },
    ),
    change(
      'connect',
      number,
      container => isUp(container) && !container.networks.has('net-b'),
      (container, vm) => {
        vm.engine.state.connect('net-b', container.name);
        container.networks.add('net-b');
      },
    ),
    change(
      'disconnect',
      number,
      container => isUp(container) && container.networks.size > 0,
      (container, vm) => {
        const [network = ''] = container.networks;
        vm.engine.state.disconnect(network, container.name);
        container.networks.delete(network);
      },
    ),
    change(
      'end the session of',
      number,
      ({ kind, state }) => kind === 'proxy' && state === 'running',
      ({ name }, vm) => vm.proxies.get(name)?.endSession(),
    ),
  ),
);

/** What an engine may tell instead of the truth. */
const LIES: readonly ((body: object) => unknown)[] = [
  () => ({}),
  () => [],
  () => 'not JSON of a container',
  () => null,
  body => ({ ...body, Id: '' }),
  body => ({ ...body, Id: 'f'.repeat(64) }),
  body => ({ ...body, Name: 7, Config: null, HostConfig: [], NetworkSettings: 'x' }),
  body => ({ ...body, State: { Status: 'levitating', Pid: 'one', StartedAt: {} } }),
  body => ({ ...body, NetworkSettings: { Networks: { bridge: { NetworkID: 1, IPAddress: '999.1.1.1' } } } }),
  body => ({ ...body, Config: { Labels: { [CLIENT_LABEL]: 1, MSIProxyContainer: null } } }),
];

const faults = fc.oneof(
  fc.constantFrom(
    command(
      'lose events',
      () => true,
      (_, vm) => vm.engine.loseEvents(),
    ),
    command(
      'lose every other event',
      () => true,
      (_, vm) => {
        let number = 0;
        vm.engine.loseEvents(() => (number += 1) % 2 === 0);
      },
    ),
    command(
      'double events',
      () => true,
      (_, vm) => vm.engine.doubleEvents(),
    ),
    command(
      'tell events late and backwards',
      () => true,
      (_, vm) => tellBackwards(vm),
    ),
    command(
      'split events',
      () => true,
      (_, vm) => {
        vm.engine.splitsEvents = !vm.engine.splitsEvents;
      },
    ),
    command(
      'cut event streams',
      () => true,
      (_, vm) => vm.engine.cutEventStreams(),
    ),
    command(
      'truncate event streams',
      () => true,
      (_, vm) => vm.engine.truncateEventStreams(),
    ),
    command(
      'tell of 100 containers that are not there',
      () => true,
      (_, vm) => tellOfNobody(vm, 100),
    ),
    command(
      'restart the engine',
      () => true,
      async (_, vm) => {
        await vm.engine.die();
        await vm.engine.listen();
      },
    ),
    command(
      'restart the monitor',
      () => true,
      async (_, vm) => {
        await vm.stopMonitor();
        await startMonitor(vm);
      },
    ),
  ),
  fc
    .tuple(
      fc.constantFrom(500, 404, 409, 503),
      fc.constantFrom(
        /^\/containers\/[^/]+\/json/,
        /^\/containers\/json/,
        /^\/networks/,
        /\/exec/,
        /^\/events/,
        /\/connect/,
      ),
      fc.integer({ min: 1, max: 4 }),
    )
    .map(([status, path, times]) =>
      command(
        `answer ${status} to ${path.source} ${times} times`,
        () => true,
        (_, vm) => vm.engine.failRequests(path, { status, message: 'no', times }),
      ),
    ),
  fc.tuple(fc.constantFrom(...LIES), fc.integer({ min: 1, max: 4 })).map(([lie, times]) =>
    command(
      `lie ${times} times: ${lie.toString()}`,
      () => true,
      (_, vm) => {
        let left = times;
        vm.engine.tamperInspect = body => ((left -= 1) >= 0 ? lie(body as object) : body);
      },
    ),
  ),
);

function tellBackwards({ engine }: MonitoredVm): void {
  type Event = Parameters<typeof engine.events.tamper>[0];
  const held: Event[] = [];
  engine.events.tamper = event => {
    held.push(event);
    return held.length < 5 ? [] : held.splice(0).reverse();
  };
}

function tellOfNobody({ engine }: MonitoredVm, count: number): void {
  for (let number = 0; number < count; number += 1) {
    const actorId = number.toString(16).padStart(64, '0');
    engine.events.emit({ type: 'container', action: 'start', actorId, attributes: { [CLIENT_LABEL]: '' } });
  }
}

async function startMonitor(vm: MonitoredVm): Promise<void> {
  await vm.startMonitor({ resyncMillis: () => RESYNC_MILLIS });
}

const settle = command('settle', () => true, settled);

async function settled(model: Model, vm: MonitoredVm): Promise<void> {
  const { engine } = vm;
  engine.tellEvents();
  engine.tamperInspect = body => body;
  let problems: string[] = [];
  await until('all is as it should be', () => (problems = problemsOf(model, vm)).length === 0, {
    patienceMillis: PATIENCE_MILLIS,
  }).catch((error: unknown) => {
    throw new Error(`${problems.join('\n')}\n${JSON.stringify(vm.status, undefined, 1)}`, { cause: error });
  });
  assert.equal(vm.wiring.overlapped, false, 'a client was in work twice at a time');
  assert.deepEqual(
    [...vm.proxies.values()].flatMap(({ complaints }) => complaints),
    [],
  );
}

/** In words, how the world differs from what the model asks for. */
function problemsOf(model: Model, vm: MonitoredVm): string[] {
  const problems: string[] = [];
  const { status, rules, wiring } = vm;
  const up = model.containers.filter(isUp);
  const proxies = up.filter(({ kind, state }) => kind === 'proxy' && state === 'running');
  const serving = status.proxies.filter(({ state }) => state === 'serving');
  if (serving.length !== Math.min(1, proxies.length))
    problems.push(`${serving.length} of ${proxies.length} proxies serve`);
  const [server] = serving;
  if (server !== undefined && !proxies.some(({ name }) => name === server.name))
    problems.push(`${server.name} serves`);
  if (rules.target?.address !== server?.address)
    problems.push(`requests are sent to ${rules.target?.address ?? 'nobody'}`);

  for (const { name, kind, networks } of up) {
    const shouldBeWired = kind === 'client' && networks.size > 0 && server !== undefined;
    const { state } = vm.client(name) ?? {};
    if ((state === 'wired') !== shouldBeWired) problems.push(`${name} is ${state ?? 'not known'}`);
    if (shouldBeWired && wiring.wired.get(name) !== server.address)
      problems.push(`${name} is wired elsewhere`);
    if (shouldBeWired && wiring.runs.get(name) !== vm.engine.state.container(name).startedAt) {
      problems.push(`the wiring of ${name} is of an earlier run`);
    }
    if (kind !== 'client' && wiring.wired.has(name)) problems.push(`${name} is wired`);
  }
  const names = new Set(up.map(({ name }) => name));
  for (const { name } of status.clients)
    if (!names.has(name)) problems.push(`${name} is gone, but still shown`);
  if (server !== undefined) problems.push(...problemsOfCallers(up, vm, server.name));
  return problems;
}

/** The serving proxy knows each address of each container, and grants something to clients only. */
function problemsOfCallers(up: readonly Container[], vm: MonitoredVm, server: string): string[] {
  const { state } = vm.engine;
  const expected = new Map<string, string>();
  for (const { name, kind } of up) {
    if (kind === 'proxy') continue;
    const grant = kind === 'malformed' ? 'refused' : kind;
    for (const address of state.container(name).endpoints.values()) {
      if (address !== '') expected.set(address, `${grant} ${name} ${state.container(name).startedAt}`);
    }
  }
  const callers = [...(vm.proxies.get(server)?.callers.values() ?? [])];
  const actual = new Map(
    callers.map(({ address, name, startedAt, grant }) => [address, `${grant.kind} ${name} ${startedAt}`]),
  );
  return [...new Set([...expected.keys(), ...actual.keys()])].flatMap(address =>
    expected.get(address) === actual.get(address)
      ? []
      : [
          `the proxy takes ${address} for ${actual.get(address) ?? 'nobody'}, not ${expected.get(address) ?? 'nobody'}`,
        ],
  );
}

describe('the monitor, through any life of containers and engine', function () {
  this.timeout(600_000);

  it(`wires each client to the live proxy once and nobody else, after every settle of ${LEAST_STEPS} steps and more`, async () => {
    let steps = 0;
    let settles = 0;
    const anyCommand = [start, start, changes, changes, faults, fc.constant(settle)];
    const commands = fc.commands(anyCommand, { maxCommands: COMMANDS_OF_A_RUN, size: 'max' });
    const property = fc.asyncProperty(commands, async all => {
      const clock = new FakeClock(new Date().toISOString());
      await using vm = await MonitoredVm.create({ clock });
      vm.pulseMillis = PULSE_MILLIS;
      for (const name of ['net-a', 'net-b']) vm.engine.state.createNetwork({ name });
      await using time = new PassingTime(clock);
      time.speed = SPEED;
      await startMonitor(vm);
      const model = new Model();
      await fc.asyncModelRun(() => ({ model, real: vm }), all);
      await settled(model, vm);
      steps += model.steps;
      settles += 1 + [...all].filter(each => String(each) === 'settle').length;
    });
    for (let run = 0; run < RUNS || steps < LEAST_STEPS; run += 1)
      await fc.assert(property, { numRuns: 1, endOnFailure: true });
    console.log(`      ${steps} steps, ${settles} times settled`);
  });
});
