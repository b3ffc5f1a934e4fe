import { BASE_IMAGE } from './lab-images.ts';
import type { Engine } from './engine.ts';
import { unixRequest } from './unix-request.ts';

export interface LightContainer {
  readonly name: string;
  readonly command: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  /** The engine's own bridge unless named. */
  readonly network?: string;
  /** `folder of the machine:folder in the container` */
  readonly mount?: string;
  /** Whether {@link EngineApi.output} is asked for. */
  readonly keepsOutput?: boolean;
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

  /** @returns the id of the container, which does not run yet */
  async create(container: LightContainer): Promise<string> {
    const { name, command, labels, network, mount, keepsOutput = false } = container;
    const { Id: id } = JSON.parse(
      await this.#ask('POST', `/containers/create?name=${encodeURIComponent(name)}`, {
        Image: BASE_IMAGE,
        Cmd: command,
        Labels: labels,
        // Its output comes as it is then, and not in frames.
        Tty: keepsOutput,
        HostConfig: {
          ...(network !== undefined && { NetworkMode: network }),
          ...(mount !== undefined && { Binds: [mount] }),
          LogConfig: { Type: keepsOutput ? 'json-file' : 'none' },
        },
      }),
    ) as { Id: string };
    return id;
  }

  async start(id: string): Promise<void> {
    const beginMillis = performance.now();
    await this.#ask('POST', `/containers/${id}/start`);
    this.#startMillis.push(performance.now() - beginMillis);
  }

  /** @returns what the container has printed, when it has ended */
  async output(id: string): Promise<string> {
    await this.#ask('POST', `/containers/${id}/wait`);
    const text = await this.#ask('GET', `/containers/${id}/logs?stdout=1&stderr=1`);
    return text.replaceAll('\r\n', '\n');
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
