import { join } from 'node:path';
import {
  CLIENT_LABEL,
  CONTROL_PROTOCOL,
  encodeMessage,
  HEARTBEAT_INTERVAL_MILLIS,
  IDENTITY_LABEL,
  MessageDecoder,
  parseClientPolicy,
  PROXY_MESSAGE_TYPES,
  RESOURCES_LABEL,
  type Caller,
  type MonitorMessage,
  type ProxyMessage,
} from '@msi-proxy/shared';
import { bundleProgram, type ProgramName } from '../../scripts/lib/bundle.ts';
import { waitUntil } from '../../test/lab/index.ts';
import { freePort } from './net.ts';
import type { CpuList } from './binding.ts';
import { PinnedProcess } from './processes.ts';
import { CLIENT_ID, RESOURCE } from './workloads.ts';

const SESSION_ID = 'bench';

/** Bundles a program as the images carry it. @returns the file */
export async function bundled(name: ProgramName, folder: string): Promise<string> {
  const file = join(folder, `${name}.mjs`);
  await bundleProgram(name, file);
  return file;
}

export interface ProxyOptions {
  readonly bundle: string;
  readonly folder: string;
  readonly name: string;
  readonly imdsPort: number;
  readonly cpus: CpuList | undefined;
  readonly monitorCpus: CpuList | undefined;
  /** Who may ask, by address; each a client whose labels name an identity and a resource. */
  readonly addresses: readonly string[];
  readonly nodeArguments?: readonly string[];
  readonly settings?: Readonly<Record<string, string>>;
}

/** The proxy as it runs in its container, with policy, audit and confirmations, on loopback. */
export class BenchProxy {
  readonly port: number;
  readonly process: PinnedProcess;
  /** Until it said that it is ready. */
  readonly startMillis: number;
  readonly #control: ControlSession;

  private constructor(port: number, process: PinnedProcess, startMillis: number, control: ControlSession) {
    this.port = port;
    this.process = process;
    this.startMillis = startMillis;
    this.#control = control;
  }

  static async start(options: ProxyOptions): Promise<BenchProxy> {
    const { bundle, folder, name, imdsPort, cpus, monitorCpus, addresses } = options;
    const port = await freePort();
    const env = {
      ...Object.fromEntries(Object.entries(process.env).filter(([key]) => !key.startsWith('MSI_PROXY_'))),
      MSI_PROXY_LISTEN: `127.0.0.1:${port}`,
      MSI_PROXY_IMDS_ADDRESS: `127.0.0.1:${imdsPort}`,
      // Nothing must leave this machine.
      MSI_PROXY_ROUTE: 'off',
      MSI_PROXY_CONTROL_SOCKET: join(folder, name, 'control.sock'),
      // Of Azure's limits nothing would be left to measure.
      MSI_PROXY_IDENTITY_RATE: '1000000',
      MSI_PROXY_METADATA_RATE: '1000000',
      ...options.settings,
    };
    const node = [process.execPath, ...(options.nodeArguments ?? []), bundle] as const;
    const beginMillis = performance.now();
    const server = new PinnedProcess({ argv: node, cpus, env });
    await server.ready(() => server.output.includes('"msg":"Ready"'));
    const startMillis = performance.now() - beginMillis;
    const control = await ControlSession.start([process.execPath, bundle, 'control'], {
      env,
      cpus: monitorCpus,
      callers: addresses.map(callerAt),
    });
    return new BenchProxy(port, server, startMillis, control);
  }

  async stop(): Promise<void> {
    await this.#control.stop();
    await this.process.stop();
  }
}

/** A container at this address as the monitor would tell the proxy. */
export function callerAt(address: string): Caller {
  const policy = parseClientPolicy({
    [CLIENT_LABEL]: '',
    [IDENTITY_LABEL]: CLIENT_ID,
    [RESOURCES_LABEL]: RESOURCE,
  });
  if (!policy.ok) throw new Error(`the labels of the client: ${JSON.stringify(policy.problems)}`);
  const containerId = Buffer.from(address).toString('hex').padEnd(64, '0');
  return {
    address,
    containerId,
    name: `client-${address}`,
    startedAt: '2026-01-01T00:00:00.000000001Z',
    grant: { kind: 'client', policy: policy.policy },
  };
}

interface ControlOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly cpus: CpuList | undefined;
  readonly callers: readonly Caller[];
}

/** A monitor that says the same all the time, through `msi-proxy control` as the real one does. */
class ControlSession {
  readonly #process: PinnedProcess;
  readonly #callers: ReadonlyMap<string, Caller>;
  readonly #heartbeat: NodeJS.Timeout;
  #isAcknowledged = false;

  private constructor(argv: readonly [string, ...string[]], { env, cpus, callers }: ControlOptions) {
    this.#callers = new Map(callers.map(caller => [caller.address, caller]));
    const decoder = new MessageDecoder<ProxyMessage>(PROXY_MESSAGE_TYPES);
    this.#process = new PinnedProcess({
      argv,
      env,
      cpus,
      onOutput: chunk => {
        for (const message of decoder.push(chunk)) this.#take(message);
      },
    });
    this.#send({ type: 'hello', protocol: CONTROL_PROTOCOL, sessionId: SESSION_ID, monitorVersion: '0.0.0' });
    this.#send({ type: 'snapshot', revision: 1, callers });
    this.#send({ type: 'role', role: 'serving' });
    this.#heartbeat = setInterval(
      () => this.#send({ type: 'heartbeat', sessionId: SESSION_ID }),
      HEARTBEAT_INTERVAL_MILLIS,
    );
  }

  static async start(argv: readonly [string, ...string[]], options: ControlOptions): Promise<ControlSession> {
    const session = new ControlSession(argv, options);
    await waitUntil(() => session.#isAcknowledged, { what: 'the proxy to know its callers' });
    return session;
  }

  async stop(): Promise<void> {
    clearInterval(this.#heartbeat);
    await this.#process.stop();
  }

  #send(message: MonitorMessage): void {
    this.#process.stdin.write(encodeMessage(message));
  }

  #take(message: ProxyMessage): void {
    if (message.type === 'ack') this.#isAcknowledged = true;
    if (message.type !== 'confirm') return;
    const { requestId, address } = message;
    const caller = this.#callers.get(address);
    this.#send({
      type: 'confirmed',
      requestId,
      address,
      result: caller === undefined ? { kind: 'nobody' } : { kind: 'caller', caller },
    });
  }
}
