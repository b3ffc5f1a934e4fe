import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duplex, Readable } from 'node:stream';
import { json } from 'node:stream/consumers';
import { setImmediate } from 'node:timers/promises';
import { containerJson, containerSummaryJson, networkJson } from './engine-answers.ts';
import { EngineState, idOf, isUp, type ContainerOptions } from './engine-state.ts';
import { EventLog, eventJson, type RecordedEvent } from './event-log.ts';
import { connectExec, type ExecProcess, type ExecRecord } from './exec-connection.ts';
import { Gate } from './gate.ts';

export interface FakeEngineOptions {
  readonly version?: string;
  readonly apiVersion?: string;
  /** Carries out commands in containers; without it they end with 127. */
  readonly onExec?: (process: ExecProcess) => void;
}

interface Answer {
  readonly status: number;
  readonly body?: unknown;
}

interface Failure extends Answer {
  readonly path: RegExp;
  left: number;
}

type Handler = (match: readonly string[], request: IncomingMessage) => Answer | Promise<Answer>;

const PLAIN_FIELDS_ARE_GONE_SINCE = 1.52;

/**
 * A Docker engine's API on a real Unix socket, as far as the monitor uses it. Tests change its containers and networks,
 * and make it fail: lose, double or delay events, cut streams, hang, die, come back, answer errors.
 */
export class FakeEngine implements AsyncDisposable {
  readonly state: EngineState;
  readonly events = new EventLog();
  /** `METHOD /path?query` of every request, without the version. */
  /** Paths of the requests that took their connection over. */
  readonly upgrades: string[] = [];
  readonly requests: string[] = [];
  /** Writes event streams byte by byte. */
  splitsEvents = false;
  /** Applied to what inspecting a container answers: what it gives back is told instead. */
  tamperInspect: (body: unknown) => unknown = body => body;
  version: string;
  apiVersion: string;
  onExec: (process: ExecProcess) => void;

  readonly #directory: string;
  readonly #calls = new Gate();
  readonly #streams = new Gate();
  readonly #hanging = new Gate();
  #hangingPath = /^$/;
  readonly #execs = new Map<string, ExecRecord>();
  readonly #connections = new Set<Socket>();
  readonly #eventStreams = new Set<ServerResponse>();
  readonly #failures: Failure[] = [];
  #server: Server | undefined;

  private constructor(directory: string, options: FakeEngineOptions) {
    const { version = '20.10.24', apiVersion = '1.41', onExec = ({ exit }) => exit(127) } = options;
    this.#directory = directory;
    this.version = version;
    this.apiVersion = apiVersion;
    this.onExec = onExec;
    this.state = new EngineState(event => this.events.emit(event));
  }

  static async start(options: FakeEngineOptions = {}): Promise<FakeEngine> {
    const engine = await FakeEngine.prepare(options);
    await engine.listen();
    return engine;
  }

  /** An engine that does not run yet: its socket is absent. */
  static async prepare(options: FakeEngineOptions = {}): Promise<FakeEngine> {
    return new FakeEngine(await mkdtemp(join(tmpdir(), 'fake-engine-')), options);
  }

  get socketPath(): string {
    return join(this.#directory, 'docker.sock');
  }

  /** For `DOCKER_HOST`. */
  get host(): string {
    return `unix://${this.socketPath}`;
  }

  /** Connections that clients hold open; a test that ends with some has leaked them. */
  get openConnections(): number {
    return this.#connections.size;
  }

  /** Creates and starts a container. @returns its id */
  run(options: ContainerOptions): string {
    const id = this.state.createContainer(options);
    this.state.start(id);
    return id;
  }

  stopContainer(nameOrId: string, options: { readonly remove?: boolean } = {}): void {
    const { id } = this.state.container(nameOrId);
    this.state.stop(id, options);
    for (const exec of this.#execs.values()) if (exec.containerId === id) exec.kill?.();
  }

  /** The same container again: another start time, process and perhaps address. */
  restartContainer(nameOrId: string): void {
    this.stopContainer(nameOrId);
    this.state.start(nameOrId);
  }

  removeContainer(nameOrId: string): void {
    this.stopContainer(nameOrId, { remove: true });
  }

  /** Nobody hears of the events that match, now or later. */
  loseEvents(isLost: (event: RecordedEvent) => boolean = () => true): void {
    this.events.tamper = event => (isLost(event) ? [] : [event]);
  }

  doubleEvents(): void {
    this.events.tamper = event => [event, event];
  }

  /** Events are told from now on as they happen. */
  tellEvents(): void {
    this.events.tamper = event => [event];
  }

  cutEventStreams(): void {
    for (const stream of this.#eventStreams) stream.destroy();
  }

  /** Streams end in the middle of an event. */
  truncateEventStreams(): void {
    for (const stream of this.#eventStreams) stream.write('{"Type":"container","Act', () => stream.destroy());
  }

  /** As SIGSTOP does: connections are accepted and stay open, and nothing comes. */
  hang(): void {
    this.hangCalls();
    this.#streams.shut();
  }

  /** Requests to matching paths (without the version) are not answered, up to {@link resume}. */
  hangRequests(path: RegExp): void {
    this.#hanging.shut();
    this.#hangingPath = path;
  }

  /** Streams that are open go on; new calls are not answered. */
  hangCalls(): void {
    this.#calls.shut();
  }

  resume(): void {
    this.#hanging.open();
    this.#calls.open();
    this.#streams.open();
  }

  /** The next requests to matching paths (without the version) get this answer. */
  failRequests(
    path: RegExp,
    { status, message, times = 1 }: { status: number; message: string; times?: number },
  ): void {
    this.#failures.push({ path, status, body: { message }, left: times });
  }

  /** As `kill -9`: every connection breaks and the socket is gone. Containers go on running. */
  async die(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    for (const connection of this.#connections) connection.destroy();
    await new Promise(resolve => server.close(resolve));
    await rm(this.socketPath, { force: true });
    for (const exec of this.#execs.values()) exec.running = false;
    this.#execs.clear();
  }

  /** Listens on a socket of a new inode. */
  async listen(): Promise<void> {
    const server = createServer((request, response) => void this.#respond(request, response));
    server.on('upgrade', (request, connection, head) => void this.#upgrade(request, connection, head));
    server.on('connection', connection => {
      this.#connections.add(connection);
      connection.on('error', () => undefined);
      connection.once('close', () => this.#connections.delete(connection));
    });
    server.listen(this.socketPath);
    await once(server, 'listening');
    this.#server = server;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.resume();
    await this.die();
    await rm(this.#directory, { recursive: true, force: true });
  }

  get #legacyFields(): boolean {
    return Number(this.apiVersion) < PLAIN_FIELDS_ARE_GONE_SINCE;
  }

  async #respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    await this.#calls.pass();
    const { method = '' } = request;
    const url = this.#readUrl(request);
    if (url === undefined) {
      send(response, {
        status: 400,
        body: { message: `client version is too new. Maximum supported API version is ${this.apiVersion}` },
      });
      return;
    }
    this.requests.push(`${method} ${url.pathname}${url.search}`);
    if (this.#hangingPath.test(url.pathname)) await this.#hanging.pass();
    const failure = this.#failures.find(({ path, left }) => left > 0 && path.test(url.pathname));
    if (failure !== undefined) {
      failure.left -= 1;
      send(response, failure);
    } else if (url.pathname === '/events') {
      this.#streamEvents(url, response);
    } else if (url.pathname.endsWith('/start')) {
      await this.#streamExec(url.pathname, request, response);
    } else {
      const answer = await this.#answer(method, url.pathname, request);
      await this.#calls.pass();
      send(response, answer);
    }
  }

  /** The URL without the version; undefined for a version that is not spoken. */
  #readUrl(request: IncomingMessage): URL | undefined {
    const url = new URL(request.url ?? '/', 'http://engine');
    const [prefix = '', asked] = /^\/v(\d+\.\d+)(?=\/)/.exec(url.pathname) ?? [];
    if (asked !== undefined && Number(asked) > Number(this.apiVersion)) return undefined;
    url.pathname = url.pathname.slice(prefix.length);
    return url;
  }

  async #answer(method: string, path: string, request: IncomingMessage): Promise<Answer> {
    for (const [route, handler] of Object.entries(this.#routes)) {
      const [routeMethod, pattern = ''] = route.split(' ');
      const match = new RegExp(`^${pattern}$`).exec(path);
      if (routeMethod === method && match !== null) {
        return await handler(match.slice(1).map(decodeURIComponent), request);
      }
    }
    return { status: 404, body: { message: 'page not found' } };
  }

  readonly #routes: Readonly<Record<string, Handler>> = {
    'GET /_ping': () => ({ status: 200, body: 'OK' }),
    'GET /version': () => ({
      status: 200,
      body: { Version: this.version, ApiVersion: this.apiVersion, MinAPIVersion: '1.12' },
    }),
    'GET /info': () => ({ status: 200, body: { OSType: 'windows', Isolation: 'process' } }),
    'GET /containers/json': (_match, request) => {
      const asked = new URL(request.url ?? '/', 'http://engine').searchParams;
      const { network } = JSON.parse(asked.get('filters') ?? '{}') as { network?: string[] };
      const found = [...this.state.containers.values()]
        .filter(container => isUp(container) || asked.get('all') === 'true')
        .filter(({ endpoints }) => network?.some(name => endpoints.has(this.state.network(name).id)) ?? true);
      return { status: 200, body: found.map(container => containerSummaryJson(container, this.state)) };
    },
    'GET /containers/([^/]+)/json': ([id = '']) => {
      const container = this.state.findContainer(id);
      if (container === undefined) return noSuch('container', id);
      return {
        status: 200,
        body: this.tamperInspect(containerJson(container, this.state, { legacyFields: this.#legacyFields })),
      };
    },
    'GET /networks': () => {
      const networks = [...this.state.networks.values()];
      return {
        status: 200,
        body: networks.map(network => networkJson(network, this.state, { withContainers: false })),
      };
    },
    'GET /networks/([^/]+)': ([id = '']) => {
      const network = this.state.findNetwork(id);
      if (network === undefined) return noSuch('network', id);
      return { status: 200, body: networkJson(network, this.state, { withContainers: true }) };
    },
    'POST /networks/create': async (_match, request) => await this.#createNetwork(request),
    'POST /networks/([^/]+)/connect': async ([id = ''], request) => await this.#connectNetwork(id, request),
    'POST /networks/([^/]+)/disconnect': async ([id = ''], request) =>
      await this.#disconnectNetwork(id, request),
    'DELETE /networks/([^/]+)': ([id = '']) => {
      const network = this.state.findNetwork(id);
      if (network === undefined) return noSuch('network', id);
      if (this.state.endpointsOf(network).size > 0)
        return { status: 403, body: { message: `network ${network.name} has active endpoints` } };
      this.state.removeNetwork(network.id);
      return { status: 204 };
    },
    'POST /containers/([^/]+)/exec': async ([id = ''], request) => await this.#createExec(id, request),
    'GET /exec/([^/]+)/json': ([id = '']) => {
      const exec = this.#execs.get(id);
      if (exec === undefined) return noSuch('exec instance', id);
      return { status: 200, body: { ID: id, Running: exec.running, ExitCode: exec.exitCode } };
    },
  };

  async #createNetwork(request: IncomingMessage): Promise<Answer> {
    const {
      Name: name,
      Driver: driver,
      Options: options,
      Internal: internal = false,
      IPAM: ipam,
    } = (await json(request)) as {
      Name: string;
      Driver: string;
      Options: Record<string, string>;
      Internal?: boolean;
      IPAM?: { Config?: { Subnet: string }[] };
    };
    if (this.state.findNetwork(name) !== undefined) {
      return { status: 409, body: { message: `network with name ${name} already exists` } };
    }
    const subnet = ipam?.Config?.[0]?.Subnet;
    const prefix = subnet?.split('.').slice(0, 3).join('.');
    const id = this.state.createNetwork({
      name,
      driver,
      internal,
      options,
      ...(prefix !== undefined && { prefix }),
    });
    return { status: 201, body: { Id: id, Warning: '' } };
  }

  async #connectNetwork(id: string, request: IncomingMessage): Promise<Answer> {
    const { Container: containerId, EndpointConfig: endpoint } = (await json(request)) as {
      Container: string;
      EndpointConfig?: { IPAMConfig?: { IPv4Address?: string } };
    };
    const network = this.state.findNetwork(id);
    const container = this.state.findContainer(containerId);
    if (network === undefined) return noSuch('network', id);
    if (container === undefined) return noSuch('container', containerId);
    if (container.endpoints.has(network.id)) {
      const message = `endpoint with name ${container.name} already exists in network ${network.name}`;
      return { status: 403, body: { message } };
    }
    this.state.connect(network.id, container.id, endpoint?.IPAMConfig?.IPv4Address);
    return { status: 200 };
  }

  async #disconnectNetwork(id: string, request: IncomingMessage): Promise<Answer> {
    const { Container: containerId } = (await json(request)) as { Container: string };
    const network = this.state.findNetwork(id);
    const container = this.state.findContainer(containerId);
    if (network === undefined) return noSuch('network', id);
    if (container === undefined) return noSuch('container', containerId);
    if (!container.endpoints.has(network.id)) {
      const message = `container ${container.id} is not connected to network ${network.name}`;
      return { status: 403, body: { message } };
    }
    this.state.disconnect(network.id, container.id);
    return { status: 200 };
  }

  async #createExec(containerId: string, request: IncomingMessage): Promise<Answer> {
    const container = this.state.findContainer(containerId);
    if (container === undefined) return noSuch('container', containerId);
    if (container.state !== 'running') {
      return {
        status: 409,
        body: {
          message: `Container ${container.id} is ${container.state === 'paused' ? 'paused' : 'not running'}`,
        },
      };
    }
    const { Cmd: argv, User: user } = (await json(request)) as { Cmd: string[]; User?: string };
    const id = idOf(`exec ${this.#execs.size} ${Math.random()}`);
    this.#execs.set(id, { id, containerId: container.id, argv, user, running: false, exitCode: null });
    return { status: 201, body: { Id: id } };
  }

  /** `POST /exec/{id}/start` without an upgrade: output only, up to the end of the connection. */
  async #streamExec(path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    await json(request);
    const exec = this.#execOf(path);
    if (exec === undefined) {
      send(response, noSuch('exec instance', path));
      return;
    }
    response.useChunkedEncodingByDefault = false;
    response.writeHead(200, { 'Content-Type': 'application/vnd.docker.raw-stream', Connection: 'close' });
    response.flushHeaders();
    const connection = Duplex.from({ readable: Readable.from([]), writable: response });
    this.onExec(connectExec(connection, exec, this.#streams));
  }

  #execOf(path: string): ExecRecord | undefined {
    return this.#execs.get(/^\/exec\/([^/]+)\/start$/.exec(path)?.[1] ?? '');
  }

  /** `POST /exec/{id}/start`, which takes the connection over. */
  async #upgrade(request: IncomingMessage, connection: Duplex, head: Buffer): Promise<void> {
    connection.on('error', () => undefined);
    await this.#calls.pass();
    const path = this.#readUrl(request)?.pathname ?? '';
    this.requests.push(`${request.method ?? ''} ${path}`);
    this.upgrades.push(path);
    const exec = this.#execOf(path);
    if (exec === undefined) {
      connection.end('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
      return;
    }
    await skipBody(connection, head, Number(request.headers['content-length'] ?? 0));
    connection.write(
      'HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n',
    );
    this.onExec(connectExec(connection, exec, this.#streams));
  }

  #streamEvents(url: URL, response: ServerResponse): void {
    response.writeHead(200, { 'Content-Type': 'application/json' });
    response.flushHeaders();
    this.#eventStreams.add(response);
    let writing = Promise.resolve();
    const write = (event: RecordedEvent) => {
      writing = writing.then(() => this.#writeEvent(event, response));
    };
    const since = url.searchParams.get('since');
    const unsubscribe = this.events.subscribe(write, since === null ? undefined : Number(since));
    response.once('close', () => {
      unsubscribe();
      this.#eventStreams.delete(response);
    });
  }

  async #writeEvent(event: RecordedEvent, response: ServerResponse): Promise<void> {
    await this.#streams.pass();
    const line = Buffer.from(eventJson(event, { legacyFields: this.#legacyFields }));
    if (!this.splitsEvents) {
      response.write(line);
      return;
    }
    for (const byte of line) {
      response.write(Buffer.of(byte));
      // Each is a chunk of HTTP, and stays one for the reader even when the kernel joins them.
      await setImmediate();
    }
  }
}

function noSuch(kind: string, id: string): Answer {
  return { status: 404, body: { message: `No such ${kind}: ${id}` } };
}

function send(response: ServerResponse, { status, body }: Answer): void {
  if (response.destroyed) return;
  const isText = typeof body === 'string';
  response.writeHead(status, { 'Content-Type': isText ? 'text/plain' : 'application/json' });
  response.end(isText || body === undefined ? body : JSON.stringify(body));
}

/** The body of a request that upgrades comes as the first bytes of the connection. */
async function skipBody(connection: Duplex, head: Buffer, length: number): Promise<void> {
  let received = head;
  while (received.length < length) {
    const [chunk] = (await once(connection, 'data')) as [Buffer];
    received = Buffer.concat([received, chunk]);
  }
  connection.pause();
  const rest = received.subarray(length);
  if (rest.length > 0) connection.unshift(rest);
}
