import { createServer, type IncomingMessage } from 'node:http';
import { type AddressInfo } from 'node:net';

export interface RecordedRequest {
  readonly method: string;
  readonly path: string;
  readonly authorization: string | undefined;
  readonly body: unknown;
}

export interface FakeMarathonOptions {
  /** Status and body for every PUT, instead of a deployment. */
  readonly refusal?: readonly [status: number, body: unknown];
  /** How often a deployment is listed before it has ended. Default 1. */
  readonly pollsUntilDeployed?: number;
  /** Of each app, once its deployment has ended. Default: all. */
  readonly tasksRunning?: number;
}

/** Marathon's REST API on a port of the loopback address, as far as submitting needs it. */
export class FakeMarathon implements AsyncDisposable {
  readonly requests: RecordedRequest[] = [];
  readonly #server;
  readonly #apps = new Map<string, { instances: number; version: string }>();
  readonly #deployments = new Map<string, number>();

  private constructor(options: FakeMarathonOptions) {
    this.#server = createServer((request, response) => {
      void this.#answer(request, options).then(([status, body]) => {
        response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
      });
    });
  }

  static async start(options: FakeMarathonOptions = {}): Promise<FakeMarathon> {
    const fake = new FakeMarathon(options);
    await new Promise<void>(resolve => fake.#server.listen(0, '127.0.0.1', resolve));
    return fake;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise(resolve => this.#server.close(resolve));
  }

  async #answer(request: IncomingMessage, options: FakeMarathonOptions): Promise<[number, unknown]> {
    const { method = '', url: path = '' } = request;
    const text = Buffer.concat(await request.toArray()).toString();
    const body = text === '' ? undefined : (JSON.parse(text) as { id: string; instances: number });
    this.requests.push({ method, path, authorization: request.headers.authorization, body });

    const { refusal, pollsUntilDeployed = 1, tasksRunning } = options;
    const [, id] = /\/v2\/apps(\/[^?]*)/.exec(path) ?? [];
    if (method === 'PUT' && id !== undefined && body !== undefined) {
      if (refusal !== undefined) return [...refusal];
      const version = `2026-01-01T00:00:0${this.#apps.size}.000Z`;
      const deploymentId = `deployment-of-${body.id}`;
      this.#apps.set(id, { instances: body.instances, version });
      this.#deployments.set(deploymentId, pollsUntilDeployed);
      return [200, { version, deploymentId }];
    }
    if (path.endsWith('/v2/deployments')) {
      const underWay = [...this.#deployments].filter(([, polls]) => polls > 0);
      for (const [deployment, polls] of underWay) this.#deployments.set(deployment, polls - 1);
      return [200, underWay.map(([deployment]) => ({ id: deployment }))];
    }
    const app = id === undefined ? undefined : this.#apps.get(id);
    if (app === undefined) return [404, { message: `App '${id ?? ''}' does not exist` }];
    return [200, { app: { ...app, tasksRunning: tasksRunning ?? app.instances } }];
  }
}
