import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { NODE_OPTIONS, waitUntil } from './lab.ts';

const FILE = 'preload.mjs';
const source = fileURLToPath(new URL(FILE, import.meta.url));
const CONTAINER_FOLDER = '/faults';
const BYTES_PER_MEGABYTE = 1_000_000;

/** The folder of preload.mjs, by which the clocks of monitor and proxy jump and their heaps are measured. */
export class Preload {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
    mkdirSync(directory);
    // The proxy has given up root by the time it writes.
    chmodSync(directory, 0o777);
    copyFileSync(source, join(directory, FILE));
    chmodSync(join(directory, FILE), 0o644);
  }

  /** The environment of a program on the VM. */
  get env(): Readonly<Record<string, string>> {
    return { NODE_OPTIONS: `${NODE_OPTIONS} --import=${join(this.#directory, FILE)}` };
  }

  /** Arguments of `docker run`. */
  get containerArguments(): readonly string[] {
    const option = `NODE_OPTIONS=${NODE_OPTIONS} --import=${join(CONTAINER_FOLDER, FILE)}`;
    return ['--volume', `${this.#directory}:${CONTAINER_FOLDER}`, '--env', option];
  }

  /** Moves the clocks of monitor and proxy away from that of the machine by so much. */
  setClockOffset(millis: number): void {
    writeFileSync(join(this.#directory, 'clock-offset'), String(millis));
  }

  /** @param ownPid its process id as the program itself sees it */
  async heapMegabytes(pid: number, ownPid: number): Promise<number> {
    const file = join(this.#directory, `heap-${ownPid}`);
    rmSync(file, { force: true });
    process.kill(pid, 'SIGWINCH');
    await waitUntil(() => existsSync(file) && readFileSync(file, 'utf8') !== '', {
      what: `process ${pid} to collect its garbage`,
    });
    return Math.round(Number(readFileSync(file, 'utf8')) / BYTES_PER_MEGABYTE);
  }
}
