import { Agent } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import type { Readable } from 'node:stream';
import { MsiProxyError, printable, type Logger } from '@msi-proxy/shared';
import Docker from 'dockerode';
import { negotiateApiVersion } from './api-version.ts';
import { DOCKER_HOST_GRAMMAR, parseDockerHost, type DockerHost } from './docker-host.ts';
import type {
  ContainerDetails,
  ContainerSummary,
  EndpointOptions,
  EngineClient,
  EngineEvent,
  EngineVersion,
  EventOptions,
  ExecOptions,
  ExecOutput,
  ExecResult,
  ExecStream,
  NetworkDetails,
  NetworkMember,
  NewNetwork,
  RunExecOptions,
} from './engine-client.ts';
import { engineError, engineUnresponsive, statusOf } from './engine-errors.ts';
import { EventLines } from './event-lines.ts';
import { createExecOutput, createExecStream, readOutput } from './exec-stream.ts';
import { readContainer, readContainerList, readNetwork, readNetworkMembers } from './read-answers.ts';
import { arrayOf, numberOf, recordOf, stringOf } from './reading.ts';

export interface EngineTimeouts {
  /** For each call, and for the beginning of streams. A busy engine takes a second or two. */
  readonly callMillis: number;
  /** For a command that {@link EngineClient.runExec} runs in a container. */
  readonly execMillis: number;
}

export interface EngineClientOptions {
  /** {@link DOCKER_HOST_GRAMMAR} */
  readonly dockerHost: string;
  readonly logger: Logger;
  readonly timeouts?: Partial<EngineTimeouts>;
}

const DEFAULT_TIMEOUTS: EngineTimeouts = { callMillis: 15_000, execMillis: 60_000 };
const PING_TIMEOUT_MILLIS = 5_000;
const EXIT_CODE_POLL_MILLIS = 50;
const END_POLL_MILLIS = 2_000;

// The engine drops events for slow readers, and health checks alone make three a run: ask only for what is acted on.
const EVENT_FILTERS: Docker.GetEventsOptions['filters'] = {
  type: ['container', 'network'],
  event: [
    'create',
    'start',
    'restart',
    'die',
    'destroy',
    'rename',
    'pause',
    'unpause',
    'update',
    'connect',
    'disconnect',
    'remove',
  ],
};

/**
 * The engine's API through dockerode. Nothing is sent before the first call.
 * @throws {MsiProxyError} `MSI_SETTINGS_INVALID` when `dockerHost` is not of the known forms
 */
export function createEngineClient({ dockerHost, logger, timeouts }: EngineClientOptions): EngineClient {
  const address = parseDockerHost(dockerHost);
  if (address === undefined) {
    throw new MsiProxyError(
      'MSI_SETTINGS_INVALID',
      `DOCKER_HOST is "${printable(dockerHost)}": expected ${DOCKER_HOST_GRAMMAR}`,
    );
  }
  return new DockerodeClient(dockerHost, address, logger, { ...DEFAULT_TIMEOUTS, ...timeouts });
}

class DockerodeClient implements EngineClient {
  readonly host: string;
  readonly #address: DockerHost;
  readonly #logger: Logger;
  readonly #timeouts: EngineTimeouts;
  #version: Promise<EngineVersion> | undefined;

  constructor(host: string, address: DockerHost, logger: Logger, timeouts: EngineTimeouts) {
    this.host = host;
    this.#address = address;
    this.#logger = logger;
    this.#timeouts = timeouts;
  }

  async version(): Promise<EngineVersion> {
    const negotiation = this.#negotiate();
    this.#version = negotiation;
    try {
      return await negotiation;
    } catch (error) {
      if (this.#version === negotiation) this.#version = undefined;
      throw error;
    }
  }

  async ping(timeoutMillis = PING_TIMEOUT_MILLIS): Promise<void> {
    // Without a version, so that the time is for this one call and not for a negotiation before it.
    await this.#limited('ping', undefined, docker => docker.ping(), timeoutMillis);
  }

  async defaultIsolation(): Promise<string> {
    const answer: unknown = await this.#call('info', docker => docker.info());
    return stringOf(recordOf(answer)['Isolation']);
  }

  async listContainers(): Promise<ContainerSummary[]> {
    return readContainerList(await this.#call('list containers', docker => docker.listContainers()));
  }

  async inspectContainer(id: string): Promise<ContainerDetails | undefined> {
    const answer = await this.#lookUp('inspect container', docker =>
      docker.getContainer(encodeURIComponent(id)).inspect(),
    );
    return answer === undefined ? undefined : readContainer(answer);
  }

  async inspectNetwork(nameOrId: string): Promise<NetworkDetails | undefined> {
    const answer = await this.#lookUp('inspect network', docker =>
      docker.getNetwork(encodeURIComponent(nameOrId)).inspect(),
    );
    return answer === undefined ? undefined : readNetwork(answer);
  }

  async listNetworkMembers(name: string): Promise<NetworkMember[]> {
    const answer: unknown = await this.#call('list containers of network', docker =>
      docker.listContainers({ all: true, filters: { network: [name] } }),
    );
    return readNetworkMembers(answer, name);
  }

  async listNetworks(): Promise<NetworkDetails[]> {
    const answer: unknown = await this.#call('list networks', docker => docker.listNetworks());
    return arrayOf(answer).map(readNetwork);
  }

  async createNetwork({
    name,
    driver,
    labels,
    options,
    subnet,
    addressRange,
    internal = false,
  }: NewNetwork): Promise<void> {
    const settings: Docker.NetworkCreateOptions = {
      Name: name,
      Driver: driver,
      Internal: internal,
      // Without it, engines before API 1.44 make a second network of the same name.
      CheckDuplicate: true,
      Labels: labels,
      Options: options,
      ...(subnet !== undefined && {
        IPAM: { Config: [{ Subnet: subnet, ...(addressRange !== undefined && { IPRange: addressRange }) }] },
      }),
    };
    try {
      await this.#call('create network', docker => docker.createNetwork(settings));
    } catch (error) {
      if (causeStatus(error) !== 409) throw error;
    }
  }

  async connectNetwork(
    network: string,
    containerId: string,
    { address }: EndpointOptions = {},
  ): Promise<void> {
    const settings: Docker.NetworkConnectOptions = {
      Container: containerId,
      ...(address !== undefined && { EndpointConfig: { IPAMConfig: { IPv4Address: address } } }),
    };
    try {
      await this.#call('connect network', docker =>
        docker.getNetwork(encodeURIComponent(network)).connect(settings),
      );
    } catch (error) {
      if (causeStatus(error) === undefined || !(await this.#isConnected(network, containerId))) throw error;
    }
  }

  async disconnectNetwork(network: string, containerId: string): Promise<void> {
    try {
      await this.#call('disconnect network', docker =>
        docker.getNetwork(encodeURIComponent(network)).disconnect({ Container: containerId, Force: true }),
      );
    } catch (error) {
      if (causeStatus(error) === undefined || (await this.#isConnected(network, containerId))) throw error;
    }
  }

  async removeNetwork(network: string): Promise<void> {
    await this.#lookUp('remove network', docker => docker.getNetwork(encodeURIComponent(network)).remove());
  }

  async openExec(
    containerId: string,
    argv: readonly string[],
    options: ExecOptions = {},
  ): Promise<ExecStream> {
    const execId = await this.#createExec(containerId, argv, options, { hasStdin: true });
    return createExecStream(
      await this.#call('start exec', docker =>
        docker.getExec(execId).start({ hijack: true, stdin: true, Tty: false }),
      ),
    );
  }

  async runExec(
    containerId: string,
    argv: readonly string[],
    { stdin, timeoutMillis = this.#timeouts.execMillis, signal, ...options }: RunExecOptions = {},
  ): Promise<ExecResult> {
    signal?.throwIfAborted();
    const execId = await this.#createExec(containerId, argv, options, { hasStdin: stdin !== undefined });
    const output = await this.#startExec(execId, stdin);
    const settled = new AbortController();
    signal?.addEventListener('abort', () => output.destroy(), { signal: settled.signal });
    void this.#cutAfterEnd(execId, output, settled.signal);
    try {
      signal?.throwIfAborted();
      const [stdout, stderr] = await within(
        timeoutMillis,
        () => engineUnresponsive(this.host, `exec ${printable(argv[0] ?? '')}`, timeoutMillis),
        Promise.all([readOutput(output.stdout), readOutput(output.stderr), output.closed]),
      );
      signal?.throwIfAborted();
      return { exitCode: await this.#exitCode(execId), stdout, stderr };
    } finally {
      settled.abort();
      output.destroy();
    }
  }

  async events({ sinceSeconds, signal }: EventOptions): Promise<AsyncIterable<EngineEvent>> {
    signal.throwIfAborted();
    const subscribing = this.#call('events', docker =>
      docker.getEvents({
        filters: EVENT_FILTERS,
        ...(sinceSeconds !== undefined && { since: sinceSeconds }),
        abortSignal: signal,
      }),
    );
    const stream = (await subscribing) as Readable;
    // A stream that breaks ends like one that was closed: the follower lists again in either case.
    stream.on('error', () => undefined);
    return readEvents(stream, new EventLines(this.#logger));
  }

  async #negotiate(): Promise<EngineVersion> {
    const answer: unknown = await this.#limited(
      'version',
      undefined,
      docker => docker.version(),
      this.#timeouts.callMillis,
    );
    const version = stringOf(recordOf(answer)['Version']);
    const offered = stringOf(recordOf(answer)['ApiVersion']);
    return { version, apiVersion: negotiateApiVersion(version, offered, this.host) };
  }

  async #createExec(
    containerId: string,
    argv: readonly string[],
    { user }: ExecOptions,
    { hasStdin }: { readonly hasStdin: boolean },
  ): Promise<string> {
    const created: unknown = await this.#call('create exec', docker =>
      docker.getContainer(encodeURIComponent(containerId)).exec({
        Cmd: [...argv],
        AttachStdin: hasStdin,
        AttachStdout: true,
        AttachStderr: true,
        Tty: false,
        ...(user !== undefined && { User: user }),
      }),
    );
    return stringOf(recordOf(created)['id']);
  }

  /**
   * Without input, as an ordinary request: libuv closes a named pipe of Windows as a whole, 50 ms after one end of it
   * (deps/uv/src/win/pipe.c, `eof_timeout`), so that the output of a command whose input ended would be lost there.
   */
  async #startExec(execId: string, stdin: string | undefined): Promise<ExecOutput> {
    if (stdin === undefined) {
      const answer = this.#call('start exec', docker =>
        docker.getExec(execId).start({ hijack: false, stdin: false, Tty: false }),
      );
      return createExecOutput(await answer);
    }
    const connection = await this.#call('start exec', docker =>
      docker.getExec(execId).start({ hijack: true, stdin: true, Tty: false }),
    );
    connection.end(stdin);
    return createExecOutput(connection);
  }

  /** The end of the output does not always come through a named pipe of Windows (apocas/docker-modem#83). */
  async #cutAfterEnd(execId: string, output: ExecOutput, settled: AbortSignal): Promise<void> {
    const look = async () => {
      await delay(END_POLL_MILLIS, undefined, { signal: settled, ref: false });
      return await this.#inspectExec(execId).catch(() => ({ running: true }));
    };
    try {
      while ((await look()).running);
      // What came before the end is read by the next look.
      await look();
      output.destroy();
    } catch {
      // Settled by itself, which is the rule.
    }
  }

  /** The stream can be over a moment before the engine has noted how the command ended. */
  async #exitCode(execId: string): Promise<number> {
    const deadlineMillis = performance.now() + this.#timeouts.callMillis;
    for (;;) {
      const { running, exitCode } = await this.#inspectExec(execId);
      if (!running) return exitCode;
      if (performance.now() >= deadlineMillis)
        throw engineUnresponsive(this.host, 'inspect exec', this.#timeouts.callMillis);
      await delay(EXIT_CODE_POLL_MILLIS);
    }
  }

  async #inspectExec(execId: string): Promise<{ readonly running: boolean; readonly exitCode: number }> {
    const answer: unknown = await this.#call('inspect exec', docker => docker.getExec(execId).inspect());
    const exec = recordOf(answer);
    return { running: exec['Running'] === true, exitCode: numberOf(exec['ExitCode']) };
  }

  // The engine answers "already there" with 403, as other refusals too: the state decides, not the text.
  async #isConnected(network: string, containerId: string): Promise<boolean> {
    const container = await this.inspectContainer(containerId);
    return (
      container?.networks.some(({ name, networkId }) => name === network || networkId === network) ?? false
    );
  }

  async #lookUp<T>(name: string, call: (docker: Docker) => Promise<T>): Promise<T | undefined> {
    try {
      return await this.#call(name, call);
    } catch (error) {
      if (causeStatus(error) === 404) return undefined;
      throw error;
    }
  }

  async #call<T>(name: string, call: (docker: Docker) => Promise<T>): Promise<T> {
    const { apiVersion } = await (this.#version ?? this.version());
    return await this.#limited(name, apiVersion, call, this.#timeouts.callMillis);
  }

  async #limited<T>(
    name: string,
    apiVersion: string | undefined,
    call: (docker: Docker) => Promise<T>,
    timeoutMillis: number,
  ): Promise<T> {
    // One agent a call: not all of dockerode's calls can be aborted, but destroying the agent cuts its connection. Nothing
    // is kept alive, or the first call after a restart of the engine would meet a dead connection.
    const agent = new Agent({ keepAlive: false });
    try {
      return await within(
        timeoutMillis,
        () => {
          agent.destroy();
          return engineUnresponsive(this.host, name, timeoutMillis);
        },
        call(connectTo(this.#address, agent, apiVersion)),
      );
    } catch (error) {
      throw engineError(error, name, this.host);
    }
  }
}

/** Waits for the promise, but not longer; `onTimeout` cleans up and says what is then thrown. */
async function within<T>(limitMillis: number, onTimeout: () => Error, promise: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(onTimeout()), limitMillis);
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

function connectTo(address: DockerHost, agent: Agent, apiVersion: string | undefined): Docker {
  const place =
    address.kind === 'socket'
      ? { socketPath: address.path, host: undefined, port: undefined }
      : { socketPath: undefined, host: address.host, port: address.port };
  // All of them are given, also the empty ones: docker-modem would fill gaps from the environment. The types of dockerode
  // know neither `agent` nor that a value may be given as undefined.
  const options = {
    ...place,
    protocol: 'http' as const,
    agent,
    timeout: undefined,
    version: apiVersion === undefined ? undefined : `v${apiVersion}`,
  };
  return new Docker(options);
}

function causeStatus(error: unknown): number | undefined {
  return error instanceof MsiProxyError ? statusOf(error.cause) : undefined;
}

async function* readEvents(stream: Readable, lines: EventLines): AsyncGenerator<EngineEvent> {
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) yield* lines.push(chunk);
  } catch {
    // The stream is over, which is all that is told about it.
  } finally {
    stream.destroy();
  }
}
