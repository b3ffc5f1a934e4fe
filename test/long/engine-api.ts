import { BASE_IMAGE, type Engine } from '../lab/index.ts';
import { unixRequest } from '../lab/unix-request.ts';

export interface LightContainer {
  readonly name: string;
  readonly command: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly network: string;
  /** `folder of the machine:folder in the container` */
  readonly mount: string;
}

// An engine that is asked by several at once on a busy machine.
const TIMEOUT_MILLIS = 120_000;

/** Containers by the engine's API itself: each run of the Docker client costs as much as what it asks for. */
export class EngineApi {
  readonly #socketPath: string;
  readonly #startMillis: number[] = [];

  constructor({ socketPath }: Pick<Engine, 'socketPath'>) {
    this.#socketPath = socketPath;
  }

  /** How long each start took. */
  get startMillis(): readonly number[] {
    return this.#startMillis;
  }

  /** @returns the id of the container, which runs */
  async start({ name, command, labels, network, mount }: LightContainer): Promise<string> {
    const beginMillis = performance.now();
    const { Id: id } = JSON.parse(
      await this.#ask('POST', `/containers/create?name=${encodeURIComponent(name)}`, {
        Image: BASE_IMAGE,
        Cmd: command,
        Labels: labels,
        HostConfig: { NetworkMode: network, Binds: [mount], LogConfig: { Type: 'none' } },
      }),
    ) as { Id: string };
    await this.#ask('POST', `/containers/${id}/start`);
    this.#startMillis.push(performance.now() - beginMillis);
    return id;
  }

  /** Kills the container and removes it. */
  async remove(id: string): Promise<void> {
    await this.#ask('DELETE', `/containers/${id}?force=1&v=1`);
  }

  async #ask(method: string, path: string, body?: unknown): Promise<string> {
    const answer = await unixRequest({
      socketPath: this.#socketPath,
      path,
      method,
      timeoutMillis: TIMEOUT_MILLIS,
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    if (answer.status < 300) return answer.body;
    throw new Error(`${method} ${path} was answered ${answer.status}: ${answer.body.trim()}`);
  }
}
