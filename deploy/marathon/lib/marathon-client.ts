import { type AppDefinition } from './app-definition.ts';

export interface MarathonOptions {
  /** Base of Marathon's API, such as `http://marathon.mesos:8080` or `https://<cluster>/service/marathon`. */
  readonly url: URL;
  /** An authentication token of DC/OS. */
  readonly token?: string;
  /** How long one request may take. Default 30 s. */
  readonly requestTimeoutMillis?: number;
}

export interface Deployment {
  readonly deploymentId: string;
  /** Of the app, from this deployment on. */
  readonly version: string;
}

export interface AppState {
  readonly instances: number;
  readonly tasksRunning: number;
  readonly version: string;
}

interface MarathonError {
  readonly message?: string;
  readonly details?: readonly { readonly path?: string; readonly errors?: readonly string[] }[];
}

const DEFAULT_REQUEST_TIMEOUT_MILLIS = 30_000;
const MAX_QUOTED_LENGTH = 300;

/** What we need of Marathon's REST API, version 2. Source: docs/docs/rest-api of mesosphere/marathon. */
export class MarathonClient {
  readonly #url: URL;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #requestTimeoutMillis: number;

  constructor({ url, token, requestTimeoutMillis = DEFAULT_REQUEST_TIMEOUT_MILLIS }: MarathonOptions) {
    this.#url = new URL(url);
    if (!this.#url.pathname.endsWith('/')) this.#url.pathname += '/';
    this.#headers = {
      'Content-Type': 'application/json',
      Accept: 'application/json',
      ...(token !== undefined && { Authorization: `token=${token}` }),
    };
    this.#requestTimeoutMillis = requestTimeoutMillis;
  }

  /**
   * Creates the app, or makes it what the definition says.
   *
   * @throws Error with Marathon's reason when it refuses
   */
  async put(definition: AppDefinition): Promise<Deployment> {
    // By default Marathon keeps what a definition no longer names.
    return (await this.#request(
      'PUT',
      `v2/apps${definition.id}?partialUpdate=false`,
      definition,
    )) as Deployment;
  }

  /** Ids of the deployments under way. */
  async deployments(): Promise<readonly string[]> {
    return ((await this.#request('GET', 'v2/deployments')) as { id: string }[]).map(({ id }) => id);
  }

  async app(id: string): Promise<AppState> {
    const { app } = (await this.#request('GET', `v2/apps${id}?embed=app.counts`)) as {
      app: { instances: number; tasksRunning?: number; version: string };
    };
    return { instances: app.instances, tasksRunning: app.tasksRunning ?? 0, version: app.version };
  }

  async #request(method: string, path: string, body?: unknown): Promise<unknown> {
    const url = new URL(path, this.#url);
    let response: Response;
    let text: string;
    try {
      response = await fetch(url, {
        method,
        headers: this.#headers,
        // The token is for this address, not for wherever it points.
        redirect: 'manual',
        signal: AbortSignal.timeout(this.#requestTimeoutMillis),
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      text = await response.text();
    } catch (error) {
      throw new Error(`${method} ${url.href}: no answer: ${reasonOf(error)}`, { cause: error });
    }
    if (!response.ok) throw new Error(`${method} ${url.href}: ${refusal(response, text)}`);
    try {
      return JSON.parse(text);
    } catch (error) {
      throw new Error(
        `${method} ${url.href}: not Marathon's answer (no JSON): is the URL that of Marathon?`,
        {
          cause: error,
        },
      );
    }
  }
}

function refusal({ status, headers }: Response, text: string): string {
  switch (status) {
    case 301:
    case 302:
    case 303:
    case 307:
    case 308:
      return `${status}, it moved to ${headers.get('location') ?? '(nowhere)'}: give that address with --url`;
    case 401:
    case 403:
      return `${status}, not allowed: set MARATHON_TOKEN to a token that is (\`dcos config show core.dcos_acs_token\`)`;
    case 409:
      return `409, another deployment of this app is under way: wait for it, or end it in Marathon. ${explain(text)}`;
    default:
      return `${status}. ${explain(text)}`;
  }
}

/** Marathon's own words, one line. */
function explain(text: string): string {
  try {
    const { message = '', details = [] } = JSON.parse(text) as MarathonError;
    const reasons = details.map(({ path = '', errors = [] }) => `${path}: ${errors.join(', ')}`);
    return [message, ...reasons].filter(part => part !== '').join('; ');
  } catch {
    return text.slice(0, MAX_QUOTED_LENGTH).replace(/\s+/g, ' ').trim();
  }
}

/** fetch says "fetch failed" and keeps the reason in the cause. */
function reasonOf(error: unknown): string {
  const { message, cause } = error as Error;
  return cause instanceof Error ? cause.message || String(cause) : message;
}
