import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Daemon, type Scenario } from './lab.ts';

const program = fileURLToPath(new URL('load-client.mjs', import.meta.url));

/** One request of a client; times are milliseconds since the epoch. */
export interface LoadRequest {
  readonly beganAt: number;
  readonly endedAt: number;
  /** The HTTP status, or what went wrong. */
  readonly outcome: string;
  /** Whose token it was. */
  readonly objectId?: string;
}

export interface LoadOptions {
  readonly container: string;
  /** What it may get; `undefined` for a container that may get nothing. */
  readonly objectId: string | undefined;
  readonly requestsPerSecond: number;
  /** Whether each request needs IMDS. */
  readonly fresh?: boolean;
}

let loads = 0;

/** Requests without end from inside a container's network namespace, without the engine's help. */
export class Load {
  readonly objectId: string | undefined;
  readonly #daemon: Daemon;

  private constructor(daemon: Daemon, objectId: string | undefined) {
    this.#daemon = daemon;
    this.objectId = objectId;
  }

  static async start(scenario: Scenario, options: LoadOptions): Promise<Load> {
    const { container, objectId, requestsPerSecond, fresh = false } = options;
    const pid = (await scenario.docker('inspect', '--format', '{{.State.Pid}}', container)).trim();
    loads += 1;
    const daemon = await Daemon.start({
      argv: [
        'nsenter',
        `--net=/proc/${pid}/ns/net`,
        process.execPath,
        program,
        String(requestsPerSecond),
        fresh ? 'fresh' : 'cached',
      ],
      logFile: `${scenario.vm.directory}/load-${loads}.jsonl`,
    });
    return new Load(daemon, objectId);
  }

  /** What was asked so far, without the requests that are under way. */
  get requests(): readonly LoadRequest[] {
    return readFileSync(this.#daemon.logFile, 'utf8')
      .split('\n')
      .filter(line => line.startsWith('{') && line.endsWith('}'))
      .map(line => JSON.parse(line) as LoadRequest);
  }

  /** Asks nothing more, and waits for what is under way. */
  async stop(): Promise<readonly LoadRequest[]> {
    await this.#daemon.stop({ timeoutMillis: 40_000 });
    return this.requests;
  }
}
