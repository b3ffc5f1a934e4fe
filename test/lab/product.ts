import { dirname } from 'node:path';
import {
  CLIENT_LABEL,
  IMDS_ADDRESS,
  PROXY_LABEL,
  TOKEN_PATH,
  type Labels,
  type MonitorStatus,
} from '@msi-proxy/shared';
import { type CommandOutput } from './run-command.ts';

/** Runs the Docker client with these arguments; it has to succeed. Gives back what it printed. */
export type Docker = (args: readonly string[]) => Promise<string>;
/** Runs the Docker client with these arguments; its exit code is the caller's business. */
export type DockerRun = (args: readonly string[]) => Promise<CommandOutput>;

export const PROXY_NETWORK = 'msi-proxy-net';

export interface ContainerOptions {
  readonly name: string;
  readonly image: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly labels?: Labels;
  readonly network?: string;
  readonly command?: readonly string[];
  /** Further arguments of `docker run`. */
  readonly extra?: readonly string[];
}

/** The arguments of `docker run` that start a container in the background. */
export function runArguments(options: ContainerOptions): string[] {
  const { name, image, env = {}, labels = {}, network, command = [], extra = [] } = options;
  return [
    'run',
    '--detach',
    '--name',
    name,
    ...(network === undefined ? [] : ['--network', network]),
    ...Object.entries(labels).flatMap(([key, value]) => ['--label', value === '' ? key : `${key}=${value}`]),
    ...Object.entries(env).flatMap(([key, value]) => ['--env', `${key}=${value}`]),
    ...extra,
    image,
    ...command,
  ];
}

/** A proxy as an operator starts it. */
export function proxyContainer(options: ContainerOptions): ContainerOptions {
  return {
    ...options,
    labels: { ...options.labels, [PROXY_LABEL]: '' },
    extra: ['--cap-add', 'NET_ADMIN', ...(options.extra ?? [])],
  };
}

/**
 * A monitor as an operator starts it, for a wiring method of the VM's namespace (`host`).
 *
 * @param socketPath the engine's socket, on the engine's machine
 */
export function monitorContainer(options: ContainerOptions, socketPath: string): ContainerOptions {
  return {
    ...options,
    network: 'host',
    env: { DOCKER_HOST: 'unix:///host/run/docker.sock', ...options.env },
    // The folder, not the socket: the engine makes a new one at each start.
    extra: [
      '--pid',
      'host',
      '--cap-add',
      'NET_ADMIN',
      '--volume',
      `${dirname(socketPath)}:/host/run`,
      ...(options.extra ?? []),
    ],
  };
}

/** What images and units set for Node; see docs/benchmarks.md. */
export const NODE_OPTIONS = '--max-semi-space-size=2';

/** What the wiring method `nat` needs of the monitor's container in addition. */
export const NAT_MONITOR_ARGUMENTS = ['--cap-add', 'SYS_ADMIN', '--cap-add', 'SYS_PTRACE'] as const;

/** A labelled client; its policy is in further labels. */
export function clientContainer(options: ContainerOptions): ContainerOptions {
  return { ...options, labels: { [CLIENT_LABEL]: '', ...options.labels } };
}

export interface ImdsAnswer {
  /** 0 when there was no answer; {@link failure} says why. */
  readonly status: number;
  readonly body: string;
  readonly failure?: string;
  readonly elapsedMillis: number;
}

export interface ImdsRequest {
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly timeoutSeconds?: number;
  /** Further arguments of curl. */
  readonly extra?: readonly string[];
}

const METADATA_HEADER = { Metadata: 'true' };

/** The arguments of a curl that asks 169.254.169.254 and whose output {@link readCurlOutput} takes apart. */
export function curlArguments(request: ImdsRequest): [string, ...string[]] {
  const { path, headers = METADATA_HEADER, timeoutSeconds = 10, extra = [] } = request;
  return [
    'curl',
    '--silent',
    '--show-error',
    '--noproxy',
    '*',
    '--max-time',
    String(timeoutSeconds),
    ...Object.entries(headers).flatMap(([name, value]) => ['--header', `${name}: ${value}`]),
    '--write-out',
    '\n%{http_code} %{time_total}',
    ...extra,
    `http://${IMDS_ADDRESS}${path}`,
  ];
}

export function readCurlOutput({ exitCode, stdout, stderr }: CommandOutput): ImdsAnswer {
  const end = stdout.lastIndexOf('\n');
  const [status = '0', seconds = '0'] = stdout.slice(end + 1).split(' ');
  return {
    status: Number(status),
    body: stdout.slice(0, Math.max(end, 0)),
    elapsedMillis: Math.round(Number(seconds) * 1_000),
    ...(exitCode !== 0 && { failure: stderr.trim() }),
  };
}

/** Asks 169.254.169.254 from inside a container that has curl. */
export async function requestFrom(
  run: DockerRun,
  container: string,
  request: ImdsRequest,
): Promise<ImdsAnswer> {
  return readCurlOutput(await run(['exec', container, ...curlArguments(request)]));
}

/** Path and query of a token request. */
export function tokenPath(resource: string, parameters: Readonly<Record<string, string>> = {}): string {
  const query = new URLSearchParams({ 'api-version': '2018-02-01', resource, ...parameters });
  return `${TOKEN_PATH}?${query.toString()}`;
}

/** Path of one value of the instance's metadata, answered as text. */
export function instancePath(leaf: string): string {
  return `/metadata/instance/${leaf}?api-version=2021-02-01&format=text`;
}

/** What a token says of itself; the token itself is not kept. */
export function tokenClaims(answer: ImdsAnswer): Readonly<Record<string, unknown>> {
  const { access_token: token } = JSON.parse(answer.body) as { access_token: string };
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as Record<
    string,
    unknown
  >;
}

/** The result of the SDK clients in test/clients. */
export type SdkResult = { readonly elapsedMillis: number } & (
  | { readonly ok: true; readonly sha256: string; readonly claims: Readonly<Record<string, unknown>> }
  | { readonly ok: false; readonly error: string; readonly message: string }
);

/** Unmodified libraries that ask for tokens, by the language whose image they are in. */
export const SDK_LIBRARIES = {
  node: ['@azure/identity 4', '@azure/identity 3', '@azure/identity 2', '@azure/msal-node'],
  python: ['azure-identity', 'msrestazure'],
} as const;

export type SdkLanguage = keyof typeof SDK_LIBRARIES;
export type SdkLibrary = (typeof SDK_LIBRARIES)[SdkLanguage][number];

export interface SdkRequest {
  /** The newest one of JavaScript unless given. */
  readonly library?: SdkLibrary;
  /**
   * `chained` is a managed identity, and then a credential of the test's own whose token has the subject
   * {@link LAST_CREDENTIAL}. Libraries without credentials get a token of a managed identity in their own way.
   */
  readonly credential: 'managed-identity' | 'default' | 'chained';
  readonly resource: string;
  /** Names a user-assigned identity. */
  readonly clientId?: string;
  /** The same in another way. */
  readonly resourceId?: string;
  /** Of the library's process. */
  readonly env?: Readonly<Record<string, string>>;
  /** Loads everything and waits to be told, see {@link WaitingProgram}. */
  readonly waits?: boolean;
}

export const LAST_CREDENTIAL = 'last-credential';

/** Asks for a token with an unmodified Azure SDK, from inside a container of a test client's image. */
export async function sdkTokenFrom(
  docker: Docker,
  container: string,
  request: SdkRequest,
): Promise<SdkResult> {
  const variables = Object.entries(request.env ?? {}).flatMap(([key, value]) => ['--env', `${key}=${value}`]);
  return readSdkOutput(await docker(['exec', ...variables, container, ...sdkArguments(request)]));
}

/** The program of a test client's image, and its argument. */
export function sdkArguments(request: SdkRequest): string[] {
  const { library = SDK_LIBRARIES.node[0] } = request;
  const isPython = SDK_LIBRARIES.python.some(name => name === library);
  const program = isPython ? ['python3', '/app/token_client.py'] : ['node', '/app/token-client.mjs'];
  return [...program, JSON.stringify({ ...request, library })];
}

export function readSdkOutput(output: string): SdkResult {
  const lines = output.trim();
  return JSON.parse(lines.slice(lines.lastIndexOf('\n') + 1)) as SdkResult;
}

/** The status of a monitor that runs in a container. */
export async function monitorStatus(docker: Docker, monitor: string): Promise<MonitorStatus> {
  return JSON.parse(await docker(['exec', monitor, 'msi-monitor', 'status', '--json'])) as MonitorStatus;
}
