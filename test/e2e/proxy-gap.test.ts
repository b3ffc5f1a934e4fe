import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { VM_EXTENSION_PATH } from '@msi-proxy/shared';
import {
  curlArguments,
  readCurlOutput,
  readSdkOutput,
  sdkArguments,
  tokenPath,
  waitUntil,
  type ImdsRequest,
  type SdkLibrary,
  type SdkRequest,
  type WaitingProgram,
} from '../lab/index.ts';
import { startLoad, type Load } from './support/load.ts';
import { Scenario } from './support/scenario.ts';

const RESOURCE = 'https://vault.azure.net';
const TOKEN = { path: tokenPath(RESOURCE) };
const FORM = { path: VM_EXTENSION_PATH, extra: ['--data-urlencode', `resource=${RESOURCE}`] };

const GAPS_SECONDS = [0.3, 1, 3, 10];
const MAX_FAILED_CLIENTS = 1;

const FAILOVERS = 5;
// Less than any new proxy takes to start, however busy the machine; the figures are printed.
const MAX_OUTAGE_MILLIS = 1_000;
const REPLACEMENTS = 20;
const REQUESTS_A_SECOND = 100;

interface Outcome {
  readonly ok: boolean;
  readonly seconds: number;
  readonly text: string;
}

/** A call of a real client that is ready to be made. */
interface Call {
  readonly name: string;
  make(): Promise<Outcome>;
}

describe('while proxies change, wired by host', () => {
  let scenario: Scenario;

  before(async () => {
    scenario = await Scenario.start({ wiring: 'host' });
    await scenario.startMonitor();
    await scenario.startProxy({ name: 'first' });
    await scenario.untilServing('first');
    await scenario.startSdkClient('node', 'node');
    await scenario.startSdkClient('python', 'python');
    await scenario.startClient({ name: 'client' });
    await scenario.untilWired('node', 'python', 'client');
  });
  after(() => scenario[Symbol.asyncDispose]());

  async function untilStandby(proxy: string): Promise<void> {
    await scenario.untilStatus(`${proxy} to stand by`, ({ proxies }) =>
      proxies.some(({ name, state }) => name === proxy && state === 'standby'),
    );
  }

  /** Probes show when the standby is reached. */
  async function load(
    connections: 'new' | 'kept',
    kind: 'token' | 'probe' = 'token',
  ): Promise<() => Promise<Load>> {
    const options = { connections, kind, requestsASecond: REQUESTS_A_SECOND, path: TOKEN.path };
    return await startLoad(scenario.vm.engine, 'client', options);
  }

  /**
   * The process is gone at once, without the engine's help.
   * @returns when, by the clock of the wall
   */
  async function killProcessOf(container: string): Promise<number> {
    const pid = Number(await scenario.docker('inspect', '--format', '{{.State.Pid}}', container));
    const nowMillis = Date.now();
    process.kill(pid, 'SIGKILL');
    return nowMillis;
  }

  async function servingAndStandby(): Promise<[string, string]> {
    const { proxies } = await scenario.status();
    const serving = proxies.find(({ state }) => state === 'serving')?.name ?? '';
    return serving === 'first' ? ['first', 'second'] : ['second', 'first'];
  }

  describe('and one stands by', () => {
    before(async () => {
      await scenario.startProxy({ name: 'second' });
      await untilStandby('second');
    });

    for (const connections of ['new', 'kept'] as const) {
      it(`clients with ${connections} connections are served again at once after a kill`, async () => {
        const outages: number[] = [];
        const probeOutages: number[] = [];
        const noticedMillis: number[] = [];
        const failures: string[] = [];
        let requests = 0;
        let [serving, standby] = await servingAndStandby();
        for (let failover = 0; failover < FAILOVERS; failover += 1) {
          const [endLoad, endProbes] = await Promise.all([load(connections), load(connections, 'probe')]);
          const killedAtMillis = await killProcessOf(serving);
          const { events } = await scenario.untilServing(standby);
          const noticed = events.map(({ at }) => Date.parse(at) - killedAtMillis);
          noticedMillis.push(Math.min(...noticed.filter(millis => millis >= 0)));
          await sleep(200);
          const [tokens, probes] = await Promise.all([endLoad(), endProbes()]);
          probeOutages.push(probes.longestGapMillis);
          outages.push(tokens.longestGapMillis);
          failures.push(...tokens.failures);
          requests += tokens.requests;
          await scenario.docker('start', serving);
          await untilStandby(serving);
          [serving, standby] = [standby, serving];
        }
        console.log(
          `      ${FAILOVERS} kills, ${connections} connections: noticed after ${noticedMillis.join(', ')} ms, without token ${outages.join(', ')} ms, ` +
            `without answer to a probe ${probeOutages.join(', ')} ms; ` +
            `${failures.length} of ${requests} requests failed${countsOf(failures)}`,
        );
        assert.ok(median(outages) <= MAX_OUTAGE_MILLIS, outages.join());
      });
    }
  });

  describe('and there is only one', () => {
    it('real clients that ask in the gap get their token', async () => {
      const table: string[] = [];
      let [serving, next] = await servingAndStandby();
      for (const seconds of GAPS_SECONDS) {
        const calls = await prepareCalls();
        await scenario.pause(next);
        await scenario.untilStatus('no proxy to stand by', ({ proxies }) =>
          proxies.every(({ state }) => state !== 'standby'),
        );
        await killProcessOf(serving);
        await scenario.untilStatus('no proxy to serve', ({ proxies }) =>
          proxies.every(({ state }) => state !== 'serving'),
        );
        // From here on, however long it took to see it: the calls must begin in the gap.
        const gapOver = sleep(seconds * 1_000).then(() => scenario.docker('unpause', next));
        const [outcomes] = await Promise.all([Promise.all(calls.map(call => call.make())), gapOver]);
        await scenario.untilServing(next);
        const served = outcomes.filter(({ ok }) => ok).length;
        table.push(
          `      gap ${seconds} s: ${served} of ${calls.length}: ` +
            calls.map(({ name }, index) => `${name} ${describeOutcome(outcomes[index]!)}`).join(' · '),
        );
        console.log(table.at(-1));
        assert.ok(served >= calls.length - MAX_FAILED_CLIENTS, table.at(-1));
        await scenario.docker('start', serving);
        await untilStandby(serving);
        [serving, next] = [next, serving];
      }
    });

    async function prepareCalls(): Promise<Call[]> {
      const sdk = async (library: SdkLibrary, credential: SdkRequest['credential'], name: string) => {
        const container = library.startsWith('@') ? 'node' : 'python';
        const argv = sdkArguments({ library, credential, resource: RESOURCE, waits: true });
        const program = await scenario.vm.engine.execWaiting(container, argv);
        return { name, make: async () => sdkOutcome(program) };
      };
      return await Promise.all([
        sdk('@azure/identity 4', 'managed-identity', 'js4 MI'),
        sdk('@azure/identity 4', 'default', 'js4 DAC'),
        sdk('@azure/identity 2', 'managed-identity', 'js2 MI'),
        sdk('@azure/identity 2', 'default', 'js2 DAC'),
        sdk('@azure/msal-node', 'managed-identity', 'msal-node'),
        sdk('azure-identity', 'managed-identity', 'py MI'),
        sdk('azure-identity', 'default', 'py DAC'),
        sdk('msrestazure', 'managed-identity', 'msrestazure'),
        curlCall('curl', TOKEN),
        curlCall('curl form', FORM),
      ]);
    }

    async function curlCall(name: string, request: ImdsRequest): Promise<Call> {
      const script = 'echo ready; read line; exec "$@"';
      const argv = ['sh', '-c', script, 'curl', ...curlArguments({ ...request, timeoutSeconds: 60 })];
      const program = await scenario.vm.engine.execWaiting('client', argv);
      return {
        name,
        make: async () => {
          const stdout = await program.go();
          const { status, elapsedMillis } = readCurlOutput({ exitCode: 0, stdout, stderr: '' });
          return { ok: status === 200, seconds: elapsedMillis / 1_000, text: String(status) };
        },
      };
    }

    it('nothing is left of it', async () => {
      const held = await scenario.vm.exec(['nft', 'list', 'map', 'ip', 'msi_proxy', 'lent']);
      assert.doesNotMatch(held, /elements/);
      await waitUntil(async () => !(await openConnections()).includes(':9181'), {
        what: 'the connections of the stand-in to be closed',
      });
    });

    async function openConnections(): Promise<string> {
      return await scenario.vm.exec(['ss', '--no-header', '--tcp', '--numeric', 'state', 'established']);
    }
  });

  describe('and each is replaced by the next', () => {
    it('a planned replacement loses no request', async () => {
      const loads = await Promise.all([load('new'), load('kept')]);
      const seconds: number[] = [];
      let [serving = ''] = (await scenario.status()).proxies
        .filter(({ state }) => state === 'serving')
        .map(({ name }) => name);
      await scenario.removeContainers(...['first', 'second'].filter(name => name !== serving));
      for (let replacement = 1; replacement <= REPLACEMENTS; replacement += 1) {
        const next = `next-${replacement}`;
        await scenario.startProxy({ name: next });
        await untilStandby(next);
        const startMillis = performance.now();
        await scenario.docker('stop', serving);
        seconds.push((performance.now() - startMillis) / 1_000);
        await scenario.untilServing(next);
        await scenario.removeContainers(serving);
        serving = next;
      }
      const [fresh, kept] = await Promise.all(loads.map(end => end()));
      for (const [name, { requests, failures, longestGapMillis }] of [
        ['new', fresh!],
        ['kept', kept!],
      ] as const) {
        console.log(
          `      ${REPLACEMENTS} replacements, ${name} connections: ${failures.length} of ${requests} requests failed` +
            `${countsOf(failures)}, at most ${longestGapMillis} ms without an answer`,
        );
      }
      console.log(`      a stop took ${median(seconds).toFixed(1)} s at the median`);
      assert.deepEqual([...fresh!.failures, ...kept!.failures], []);
    });
  });
});

async function sdkOutcome(program: WaitingProgram): Promise<Outcome> {
  const result = readSdkOutput(await program.go());
  return { ok: result.ok, seconds: result.elapsedMillis / 1_000, text: result.ok ? '' : result.error };
}

function describeOutcome({ ok, seconds, text }: Outcome): string {
  return `${ok ? '' : `FAILED (${text}) `}${seconds.toFixed(2)} s`;
}

function countsOf(failures: readonly string[]): string {
  const kinds = [...new Set(failures)].map(
    kind => `${failures.filter(failure => failure === kind).length} ${kind}`,
  );
  return kinds.length === 0 ? '' : ` (${kinds.join(', ')})`;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}
