import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { repositoryRoot } from '../../../scripts/lib/repository.ts';
import { waitUntil, type SimulatedVm } from '../../lab/index.ts';

const API = '127.0.0.1:9090';
const SHIPPED = join(repositoryRoot, 'deploy/observability');

export interface FiringAlert {
  readonly name: string;
  readonly instance: string;
}

/** One series of an answer: its labels and its value. */
export interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Debian's Prometheus on the VM, with the configuration and rules that are shipped; only their times are shorter. */
export class Prometheus {
  readonly #vm: SimulatedVm;

  private constructor(vm: SimulatedVm) {
    this.#vm = vm;
  }

  static async start(vm: SimulatedVm): Promise<Prometheus> {
    const folder = join(vm.directory, 'prometheus');
    await mkdir(folder);
    const shipped = (name: string) => readFile(join(SHIPPED, name), 'utf8');
    const config = (await shipped('prometheus.yml')).replaceAll('15s', '1s');
    await writeFile(join(folder, 'prometheus.yml'), config);
    await writeFile(
      join(folder, 'alerts.yml'),
      (await shipped('alerts.yml')).replaceAll(/for: \w+/g, 'for: 1s'),
    );
    const daemon = await vm.startDaemon('prometheus', [
      'prometheus',
      `--config.file=${folder}/prometheus.yml`,
      `--storage.tsdb.path=${folder}/data`,
      `--web.listen-address=${API}`,
    ]);
    const prometheus = new Prometheus(vm);
    await daemon.untilReady(async () => (await prometheus.query('up')).some(({ value }) => value === 1));
    return prometheus;
  }

  /** @throws {Error} when Prometheus does not understand the expression */
  async query(expression: string): Promise<Sample[]> {
    const data = (await this.#ask('query', '--data-urlencode', `query=${expression}`)) as {
      readonly result: readonly { readonly metric: Sample['metric']; readonly value: [number, string] }[];
    };
    return data.result.map(({ metric, value: [, value] }) => ({ metric, value: Number(value) }));
  }

  async firing(): Promise<FiringAlert[]> {
    const data = (await this.#ask('alerts')) as {
      readonly alerts: readonly { readonly state: string; readonly labels: Record<string, string> }[];
    };
    return data.alerts
      .filter(({ state }) => state === 'firing')
      .map(({ labels }) => ({ name: labels['alertname'] ?? '', instance: labels['instance'] ?? '' }));
  }

  async untilFiring(...names: string[]): Promise<void> {
    const wanted = names.toSorted().join();
    let firing: readonly FiringAlert[] = [];
    try {
      await waitUntil(
        async () => {
          firing = await this.firing();
          return (
            firing
              .map(({ name }) => name)
              .toSorted()
              .join() === wanted
          );
        },
        { what: `the alerts "${wanted}" and no other to fire`, timeoutMillis: 30_000, intervalMillis: 200 },
      );
    } catch (cause) {
      throw new Error(`${(cause as Error).message}; firing: ${JSON.stringify(firing)}`, { cause });
    }
  }

  async #ask(path: string, ...query: string[]): Promise<unknown> {
    const text = await this.#vm.exec(['curl', '--silent', '--get', ...query, `http://${API}/api/v1/${path}`]);
    const answer = JSON.parse(text) as { status: string; error?: string; data: unknown };
    if (answer.status !== 'success') throw new Error(`Prometheus refuses ${query.at(-1)}: ${answer.error}`);
    return answer.data;
  }
}
