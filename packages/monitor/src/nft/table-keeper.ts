import { MsiProxyError } from '@msi-proxy/shared';
import type { ApplyResult } from '../wiring/wiring-method.ts';
import type { Nft } from './nft.ts';
import {
  createTable,
  replaceElements,
  replaceTable,
  type MapElements,
  type TableDefinition,
} from './table-definition.ts';
import { describeDifferences, type TableReading } from './table-reading.ts';

export interface EnsureOutcome {
  readonly result: ApplyResult;
  /** What the maps held when it began, by the map's name. */
  readonly previousElements: ReadonlyMap<string, readonly string[]>;
}

export interface EnsureOptions {
  /** Whether whoever calls sees in another way that the rules work, so that what was learned is not read back after each load. */
  readonly provenOtherwise?: boolean;
  /** That there is no such table yet is likely enough to try without looking. */
  readonly isLikelyNew?: boolean;
}

/** Definitions differ by proxy address only; proxies that were replaced are not asked for again. */
const MAX_LEARNED = 16;

/**
 * Keeps tables as they are defined, in any number of network namespaces.
 *
 * How nft prints a rule depends on its version, so what a definition should read like is learned: it is loaded once,
 * which is a transaction that no packet notices, and read back. From then on a table that reads the same is left alone.
 */
export class TableKeeper {
  /** By the definition's batch without elements; the least recently learned first. */
  readonly #learned = new Map<string, TableReading>();

  /**
   * Makes the table as defined.
   *
   * @throws {MsiProxyError} `MSI_WIRING_NO_CAPABILITY`, `MSI_WIRING_COMMAND`; `MSI_WIRING_NOT_EFFECTIVE` when what was
   *   loaded is not what is read back
   */
  async ensure(
    nft: Nft,
    table: TableDefinition,
    elements: MapElements = {},
    options: EnsureOptions = {},
  ): Promise<EnsureOutcome> {
    if (options.isLikelyNew === true && this.#expected(table) !== undefined) {
      const isMade = await this.#make(nft, table, elements, options);
      if (isMade) return { result: 'applied', previousElements: new Map() };
    }
    const before = await nft.read(table.name);
    const result = await this.#mend(nft, table, elements, before, options);
    return { result, previousElements: before?.elements ?? new Map() };
  }

  /**
   * Puts the table into the place of another one of this program's making, for whoever knows that it has to change: nothing
   * is read before.
   *
   * @throws {MsiProxyError} as {@link ensure}
   */
  async replace(nft: Nft, table: TableDefinition, elements: MapElements = {}): Promise<void> {
    await nft.loadPrepared(replaceTable(table, elements));
    if (this.#expected(table) === undefined) await this.#readBack(nft, table);
  }

  /** In words, how the table differs from its definition; empty when it does not. */
  async differences(nft: Nft, table: TableDefinition, elements: MapElements = {}): Promise<string[]> {
    return this.differencesOf(await nft.read(table.name), table, elements);
  }

  /** As {@link differences}, of what was read already; undefined when there was no such table. */
  differencesOf(
    actual: TableReading | undefined,
    table: TableDefinition,
    elements: MapElements = {},
  ): string[] {
    if (actual === undefined) return [`the table ip ${table.name} is missing`];
    const expected = this.#expected(table);
    if (expected === undefined) return [`the table ip ${table.name} was not checked yet`];
    return [
      ...describeDifferences(expected, actual),
      ...differingElements(actual, elements).map(([map, wanted]) => {
        const has = actual.elements.get(map)?.join(', ') ?? '';
        return `the map ${map} has "${has}" instead of "${wanted.join(', ')}"`;
      }),
    ];
  }

  async #mend(
    nft: Nft,
    table: TableDefinition,
    elements: MapElements,
    before: TableReading | undefined,
    options: EnsureOptions,
  ): Promise<ApplyResult> {
    if (before === undefined && (await this.#make(nft, table, elements, options))) return 'applied';
    const expected = this.#expected(table);
    if (before !== undefined && expected !== undefined && sameStructure(expected, before)) {
      return await mendElements(nft, table, before, elements);
    }

    await nft.load(replaceTable(table, elements));
    if (this.#isProved(table, options)) return before === undefined ? 'applied' : 'repaired';
    const after = await this.#readBack(nft, table);
    if (before === undefined) return 'applied';
    const same = sameStructure(after, before) && differingElements(before, elements).length === 0;
    return same ? 'unchanged' : 'repaired';
  }

  /** @returns false when there is a table of that name, which is left as it is */
  async #make(
    nft: Nft,
    table: TableDefinition,
    elements: MapElements,
    options: EnsureOptions,
  ): Promise<boolean> {
    if (!(await nft.create(createTable(table, elements)))) return false;
    if (!this.#isProved(table, options)) await this.#readBack(nft, table);
    return true;
  }

  #isProved(table: TableDefinition, { provenOtherwise = false }: EnsureOptions): boolean {
    return provenOtherwise && this.#expected(table) !== undefined;
  }

  async #readBack(nft: Nft, table: TableDefinition): Promise<TableReading> {
    const reading = await nft.read(table.name);
    if (reading === undefined || !isComplete(table, reading)) {
      throw new MsiProxyError(
        'MSI_WIRING_NOT_EFFECTIVE',
        `The table ip ${table.name} was loaded, but is not what is read back: another program changes it`,
      );
    }
    this.#learn(table, reading);
    return reading;
  }

  #expected(table: TableDefinition): TableReading | undefined {
    return this.#learned.get(replaceTable(table, {}));
  }

  #learn(table: TableDefinition, reading: TableReading): void {
    const key = replaceTable(table, {});
    this.#learned.delete(key);
    this.#learned.set(key, reading);
    const [oldest] = this.#learned.keys();
    if (this.#learned.size > MAX_LEARNED && oldest !== undefined) this.#learned.delete(oldest);
  }
}

async function mendElements(
  nft: Nft,
  table: TableDefinition,
  actual: TableReading,
  elements: MapElements,
): Promise<ApplyResult> {
  const differing = differingElements(actual, elements);
  if (differing.length === 0) return 'unchanged';
  const kindOf = (name: string) => (table.sets?.some(set => set.name === name) === true ? 'set' : 'map');
  await nft.load(
    differing
      .map(([name, wanted]) => replaceElements(table.name, name, wanted, { kind: kindOf(name) }))
      .join(''),
  );
  return 'repaired';
}

function sameStructure(expected: TableReading, actual: TableReading): boolean {
  return describeDifferences(expected, actual).length === 0;
}

function differingElements(
  actual: TableReading,
  elements: MapElements,
): [map: string, wanted: readonly string[]][] {
  return Object.entries(elements).filter(
    ([map, wanted]) => actual.elements.get(map)?.join() !== wanted.toSorted().join(),
  );
}

/** What can be compared without knowing how nft prints an expression: that each rule is there, in its place. */
function isComplete(table: TableDefinition, reading: TableReading): boolean {
  return table.chains.every(({ name, rules }) => {
    const comments = reading.rules.get(name)?.map(rule => rule.comment) ?? [];
    return comments.join('\n') === rules.map(rule => rule.comment).join('\n');
  });
}
