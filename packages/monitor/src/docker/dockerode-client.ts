import { Agent } from 'node:http';
import { PassThrough, type Duplex, type Readable } from 'node:stream';
import Docker from 'dockerode';
import { MsiProxyError } from '@msi-proxy/shared';
import { negotiateApiVersion } from './api-version.ts';
import { parseDockerHost, type DockerHost } from './docker-host.ts';
import type {
  EngineClient,
  EngineEvent,
  EngineVersion,
  ExecOptions,
  ExecResult,
  ExecStream,
} from './engine-client.ts';
import { engineError, engineUnresponsive, statusOf } from './engine-errors.ts';
import { EventLines } from './event-lines.ts';
import { arrayOf, numberOf, recordOf, stringOf } from './reading.ts';
import { readContainer, readNetwork, readState } from './read-answers.ts';

export interface DockerodeClientOptions {
  readonly dockerHost: string;
  /** After which a call counts as unanswered. A busy engine takes a second or two. */
  readonly callTimeoutMillis?: number;
}

const CALL_TIMEOUT_MILLIS = 15_000;
const PING_TIMEOUT_MILLIS = 5_000;
const MAX_OUTPUT_BYTES = 1024 * 1024;

/** The engine's API through dockerode. Nothing is sent before the first call. */
export function createEngineClient({ dockerHost, callTimeoutMillis }: DockerodeClientOptions): EngineClient {
  return new DockerodeClient(dockerHost, callTimeoutMillis ?? CALL_TIMEOUT_MILLIS);
}

class DockerodeClient implements EngineClient {
  readonly host: string;
  readonly #callTimeoutMillis: number;
  #docker: Promise<{ docker: Docker; version: EngineVersion }> | undefined;

  constructor(host: string, callTimeoutMillis: number) {
    this.host = host;
    this.#callTimeoutMillis = callTimeoutMillis;
  }

  async version(): Promise<EngineVersion> {
    // Asked anew: the engine may have been upgraded while it was away.
    this.#docker = undefined;
    return (await this.#connected()).version;
  }

  async ping(timeoutMillis = PING_TIMEOUT_MILLIS): Promise<void> {
    await this.#call('ping', docker => docker.ping(), timeoutMillis);
  }

  async listContainers() {
    const containers: unknown = await this.#call('list containers', docker => docker.listContainers());
    return arrayOf(containers)
      .map(recordOf)
      .map(container => ({ id: stringOf(container['Id']), state: readState(container['State']) }))
      .filter(({ id }) => id !== '');
  }

  async inspectContainer(id: string) {
    const answer: unknown = await this.#call('inspect container', docker =>
      absentAs404(docker.getContainer(id).inspect()),
    );
    return answer === undefined ? undefined : readContainer(answer);
  }

  async listNetworks() {
    const networks: unknown = await this.#call('list networks', docker => docker.listNetworks());
    return arrayOf(networks).map(readNetwork);
  }

  async inspectNetwork(nameOrId: string) {
    const answer: unknown = await this.#call('inspect network', docker =>
      absentAs404(docker.getNetwork(nameOrId).inspect()),
    );
    return answer === undefined ? undefined : readNetwork(answer);
  }

  async createNetwork({
    name,
    driver,
    options,
    labels,
    subnet,
  }: Parameters<EngineClient['createNetwork']>[0]) {
    await this.#call('create network', docker =>
      unlessStatus(
        [409],
        docker.createNetwork({
          Name: name,
          Driver: driver,
          CheckDuplicate: true,
          Options: options,
          Labels: labels,
          ...(subnet !== undefined && { IPAM: { Config: [{ Subnet: subnet }] } }),
        }),
      ),
    );
  }

  async connectNetwork(network: string, containerId: string) {
    try {
      await this.#call('connect network', docker =>
        docker.getNetwork(network).connect({ Container: containerId }),
      );
    } catch (error) {
      // The engine answers 403 for "already there" as for other things, so the state decides and not the text.
      const container = await this.inspectContainer(containerId);
      if (
        container?.networks.some(({ name, networkId }) => name === network || networkId === network) !== true
      )
        throw error;
    }
  }

  async openExec(
    containerId: string,
    argv: readonly string[],
    { user }: ExecOptions = {},
  ): Promise<ExecStream> {
    return (await this.#startExec(containerId, argv, user)).stream;
  }

  async runExec(
    containerId: string,
    argv: readonly string[],
    { user }: ExecOptions = {},
  ): Promise<ExecResult> {
    const { exec, stream } = await this.#startExec(containerId, argv, user);
    stream.stdin.end();
    const [stdout, stderr] = await Promise.all([
      readText(stream.stdout),
      readText(stream.stderr),
      stream.closed,
    ]);
    const state: unknown = await this.#call('inspect exec', () => exec.inspect());
    return { exitCode: numberOf(recordOf(state)['ExitCode']), stdout, stderr };
  }

  async #startExec(containerId: string, argv: readonly string[], user: string | undefined) {
    return await this.#call('exec', async docker => {
      const exec = await docker.getContainer(containerId).exec({
        Cmd: [...argv],
        AttachStdin: true,
        AttachStdout: true,
        AttachStderr: true,
        Tty: false,
        ...(user !== undefined && { User: user }),
      });
      const stream = await exec.start({ hijack: true, stdin: true, Tty: false });
      return { exec, stream: execStream(docker, stream) };
    });
  }

  async events({ sinceSeconds, signal }: { sinceSeconds?: number; signal: AbortSignal }) {
    const stream = await this.#call('events', docker =>
      docker.getEvents({
        abortSignal: signal,
        ...(sinceSeconds !== undefined && { since: sinceSeconds }),
        // Health checks run as exec in every container every few seconds; nothing here depends on them.
        filters: { type: ['container', 'network'] },
      }),
    );
    return readEvents(stream as Readable, signal);
  }

  /** Connects on first use, and again after a failure. */
  async #connected() {
    this.#docker ??= this.#negotiate();
    try {
      return await this.#docker;
    } catch (error) {
      this.#docker = undefined;
      throw error;
    }
  }

  async #negotiate() {
    const address = parseDockerHost(this.host);
    if (address === undefined) {
      throw new MsiProxyError(
        'MSI_ENGINE_UNREACHABLE',
        `DOCKER_HOST is "${this.host}": expected unix:///path, tcp://host:port or npipe:////./pipe/name`,
      );
    }
    const answer: unknown = await this.#limited('version', connect(address).version());
    const { Version: version, ApiVersion: apiVersion } = recordOf(answer);
    const spoken = negotiateApiVersion(stringOf(version), stringOf(apiVersion), this.host);
    return { docker: connect(address, spoken), version: { version: stringOf(version), apiVersion: spoken } };
  }

  async #call<T>(
    name: string,
    call: (docker: Docker) => Promise<T>,
    timeoutMillis = this.#callTimeoutMillis,
  ): Promise<T> {
    const { docker } = await this.#connected();
    return await this.#limited(name, call(docker), timeoutMillis);
  }

  async #limited<T>(name: string, call: Promise<T>, timeoutMillis = this.#callTimeoutMillis): Promise<T> {
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(
      () => late.reject(engineUnresponsive(this.host, name, timeoutMillis)),
      timeoutMillis,
    );
    try {
      return await Promise.race([call, late.promise]);
    } catch (error) {
      throw engineError(error, this.host);
    } finally {
      clearTimeout(timer);
    }
  }
}

function connect(address: DockerHost, apiVersion?: string): Docker {
  // Node's global agent keeps connections; after a restart of the engine the next request would meet a dead one.
  const agent = new Agent({ keepAlive: false });
  // `agent` is an option of docker-modem that the types of dockerode do not know.
  const options: Docker.DockerOptions & { agent: Agent } = {
    ...(address.kind === 'socket'
      ? { socketPath: address.path }
      : { host: address.host, port: address.port }),
    protocol: 'http',
    agent,
    ...(apiVersion !== undefined && { version: `v${apiVersion}` }),
  };
  return new Docker(options);
}

async function absentAs404<T>(call: Promise<T>): Promise<T | undefined> {
  return await unlessStatus([404], call);
}

async function unlessStatus<T>(statuses: readonly number[], call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    const status = statusOf(error);
    if (status !== undefined && statuses.includes(status)) return undefined;
    throw error;
  }
}

function execStream(docker: Docker, stream: Duplex): ExecStream {
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  docker.modem.demuxStream(stream, stdout, stderr);
  stream.on('error', () => undefined); // `close` follows
  const closed = new Promise<void>(resolve => {
    // The engine closes its side when the command has ended; our side would stay half-open.
    stream.once('end', () => stream.destroy());
    stream.once('close', () => {
      stdout.end();
      stderr.end();
      resolve();
    });
  });
  return { stdin: stream, stdout, stderr, closed, destroy: () => stream.destroy() };
}

async function readText(stream: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > MAX_OUTPUT_BYTES) {
      throw new MsiProxyError(
        'MSI_ENGINE_REQUEST',
        `a command in a container printed more than ${MAX_OUTPUT_BYTES} bytes`,
      );
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

async function* readEvents(stream: Readable, signal: AbortSignal): AsyncGenerator<EngineEvent> {
  const lines = new EventLines();
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) yield* lines.push(chunk);
  } catch {
    // A stream that broke has ended like one that was closed; the follower lists again in either case.
  } finally {
    if (!signal.aborted) stream.destroy();
  }
}
