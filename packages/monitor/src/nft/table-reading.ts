import { MsiProxyError } from '@msi-proxy/shared';

/**
 * A table as the kernel has it, without what changes by itself (handles, counters). The text of a rule or chain is
 * nft's JSON for it; versions of nft differ there, so readings are only compared with readings of the same nft.
 */
export interface TableReading {
  /** Chains and maps without their content, by `chain <name>` and `map <name>`. */
  readonly objects: ReadonlyMap<string, string>;
  /** By the chain's name, in order. */
  readonly rules: ReadonlyMap<string, readonly RuleReading[]>;
  /** By the name of the map or set, sorted, each as in {@link MapElements}. */
  readonly elements: ReadonlyMap<string, readonly string[]>;
  /** What elements of sets have counted, by the name of the set and the element. */
  readonly packets: ReadonlyMap<string, ReadonlyMap<string, number>>;
}

export interface RuleReading {
  readonly comment: string;
  readonly text: string;
}

type JsonObject = Readonly<Record<string, unknown>>;

/**
 * Reads what `nft -j list table` prints.
 *
 * @throws {MsiProxyError} `MSI_WIRING_COMMAND` when it is not that
 */
export function parseTable(json: string): TableReading {
  const objects = new Map<string, string>();
  const rules = new Map<string, RuleReading[]>();
  const elements = new Map<string, readonly string[]>();
  const packets = new Map<string, ReadonlyMap<string, number>>();

  for (const [kind, object] of listing(json)) {
    if (kind === 'metainfo' || kind === 'table') continue;
    const { elem, ...rest } = object;
    const name = String(object['name']);
    if (kind === 'rule') {
      const chain = String(object['chain']);
      const rule = { comment: commentOf(object), text: textOf(rest) };
      rules.set(chain, [...(rules.get(chain) ?? []), rule]);
    } else {
      objects.set(`${kind} ${name}`, textOf(rest));
      if (kind !== 'map' && kind !== 'set') continue;
      const all: readonly unknown[] = Array.isArray(elem) ? elem : [];
      elements.set(name, all.map(formatElement).sort());
      if (kind === 'set') packets.set(name, countersOf(all));
    }
  }
  return { objects, rules, elements, packets };
}

/** In words, how a table differs from what it should be, its maps' content aside; empty when it does not. */
export function describeDifferences(expected: TableReading, actual: TableReading): string[] {
  const chains = new Set([...expected.rules.keys(), ...actual.rules.keys()]);
  return [
    ...differingObjects(expected.objects, actual.objects),
    ...[...chains].flatMap(chain =>
      differingRules(chain, expected.rules.get(chain) ?? [], actual.rules.get(chain) ?? []),
    ),
  ];
}

function differingObjects(
  expected: ReadonlyMap<string, string>,
  actual: ReadonlyMap<string, string>,
): string[] {
  const names = new Set([...expected.keys(), ...actual.keys()]);
  return [...names].flatMap(name => {
    if (expected.get(name) === actual.get(name)) return [];
    if (!actual.has(name)) return [`the ${name} is missing`];
    return [expected.has(name) ? `the ${name} was changed` : `the ${name} is not ours`];
  });
}

function differingRules(
  chain: string,
  expected: readonly RuleReading[],
  actual: readonly RuleReading[],
): string[] {
  const missing = expected.filter(rule => !actual.some(({ text }) => text === rule.text));
  const foreign = actual.filter(rule => !expected.some(({ text }) => text === rule.text));
  const differences = [
    ...missing.map(({ comment }) => `the rule "${comment}" of chain ${chain} is missing or was changed`),
    ...foreign.map(({ comment }) => `chain ${chain} has a rule that is not ours ("${comment}")`),
  ];
  if (differences.length > 0) return differences;
  const same =
    expected.length === actual.length && expected.every(({ text }, at) => text === actual[at]?.text);
  return same ? [] : [`the rules of chain ${chain} are doubled or in another order`];
}

function* listing(json: string): Generator<[kind: string, object: JsonObject]> {
  const { nftables } = parseObject(json);
  if (!Array.isArray(nftables)) throw unreadable();
  for (const entry of nftables as readonly unknown[]) {
    if (!isObject(entry)) throw unreadable();
    for (const [kind, object] of Object.entries(entry)) {
      if (!isObject(object)) throw unreadable();
      yield [kind, object];
    }
  }
}

function parseObject(json: string): JsonObject {
  try {
    const value: unknown = JSON.parse(json);
    if (isObject(value)) return value;
  } catch (error) {
    throw unreadable(error);
  }
  throw unreadable();
}

function unreadable(cause?: unknown): MsiProxyError {
  return new MsiProxyError('MSI_WIRING_COMMAND', 'nft printed something else than a listing of rules', {
    cause,
  });
}

function commentOf({ comment }: JsonObject): string {
  return typeof comment === 'string' ? comment : '';
}

function textOf(object: JsonObject): string {
  return JSON.stringify(object, (key, value: unknown) => {
    if (key === 'handle') return undefined;
    return key === 'counter' ? null : value;
  });
}

function countersOf(elements: readonly unknown[]): Map<string, number> {
  const packets = new Map<string, number>();
  for (const each of elements) {
    const { val, counter } = isObject(each) && isObject(each['elem']) ? each['elem'] : {};
    if (typeof val === 'string' && isObject(counter)) packets.set(val, Number(counter['packets']));
  }
  return packets;
}

function formatElement(element: unknown): string {
  if (Array.isArray(element)) return element.map(formatElement).join(' : ');
  if (isObject(element) && Array.isArray(element['concat'])) {
    return element['concat'].map(formatElement).join(' . ');
  }
  return typeof element === 'string' ? element : JSON.stringify(element);
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
