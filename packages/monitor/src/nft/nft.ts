import { commandFailure } from '../command-failure.ts';
import type { CommandRunner, PreparedCommand } from '@msi-proxy/shared';
import { parseTable, type TableReading } from './table-reading.ts';

const LOAD_ARGV = ['-f', '-'];

/** The `nft` program in one network namespace, the one that its commands are run in. */
export class Nft {
  readonly #runner: CommandRunner;
  #prepared: PreparedCommand | undefined;

  constructor(runner: CommandRunner) {
    this.#runner = runner;
  }

  /**
   * Reads the table `ip <name>`.
   *
   * @returns undefined when there is none
   * @throws {MsiProxyError} `MSI_WIRING_NO_CAPABILITY`, `MSI_WIRING_COMMAND`
   */
  async read(name: string): Promise<TableReading | undefined> {
    const result = await this.#runner.run('nft', ['-j', 'list', 'table', 'ip', name]);
    if (result.exitCode === 0) return parseTable(result.stdout);
    if (result.stderr.includes('No such file or directory')) return undefined;
    throw commandFailure('nft', result, `read the table ip ${name}`);
  }

  /**
   * Carries out a batch of commands in one transaction: all of them or none.
   *
   * @throws {MsiProxyError} `MSI_WIRING_NO_CAPABILITY`, `MSI_WIRING_COMMAND`
   */
  async load(batch: string): Promise<void> {
    const result = await this.#runner.run('nft', LOAD_ARGV, { stdin: batch });
    if (result.exitCode !== 0) throw commandFailure('nft', result, 'change packet rules');
  }

  /**
   * As {@link load}, for a batch that begins by creating a table.
   *
   * @returns false when there is one of that name already
   */
  async create(batch: string): Promise<boolean> {
    const result = await this.#runner.run('nft', LOAD_ARGV, { stdin: batch });
    if (result.exitCode === 0) return true;
    if (result.stderr.includes('File exists')) return false;
    throw commandFailure('nft', result, 'change packet rules');
  }

  /** Starts a program ahead for the next {@link loadPrepared}, whose start takes most of the time of a small change. */
  prepare(): void {
    this.#prepared ??= this.#runner.prepare?.('nft', LOAD_ARGV);
  }

  /**
   * As {@link load}, with the program that was prepared. For batches that may be carried out twice: they are when that
   * program has come to harm meanwhile. The next one is for the caller to {@link prepare}, when it has the time.
   */
  async loadPrepared(batch: string): Promise<void> {
    const prepared = this.#prepared;
    this.#prepared = undefined;
    const result = await prepared?.run(batch).catch(() => undefined);
    if (result?.exitCode !== 0) await this.load(batch);
  }

  /** Ends what was prepared. */
  close(): void {
    this.#prepared?.cancel();
    this.#prepared = undefined;
  }
}
