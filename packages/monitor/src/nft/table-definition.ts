/** A table of packet rules as it should be, in nft's own terms. */
export interface TableDefinition {
  readonly name: string;
  readonly maps: readonly MapDefinition[];
  readonly sets?: readonly SetDefinition[];
  readonly chains: readonly ChainDefinition[];
}

export interface MapDefinition {
  readonly name: string;
  /** `key : value`, for example `inet_service : ipv4_addr . inet_service`. */
  readonly type: string;
  readonly comment: string;
}

export interface SetDefinition {
  readonly name: string;
  /** `type …; size …; flags …` */
  readonly properties: string;
  readonly comment: string;
}

export interface ChainDefinition {
  readonly name: string;
  /** `type … hook … priority …` */
  readonly hook: string;
  readonly comment: string;
  readonly rules: readonly RuleDefinition[];
}

export interface RuleDefinition {
  readonly match: string;
  readonly verdict: string;
  /** What the rule is for; shown by `nft list ruleset`. One of a kind within its chain. */
  readonly comment: string;
}

/** The content of maps and sets, by name, each element as nft prints it: `80 : 172.31.250.2 . 80`. */
export type MapElements = Readonly<Record<string, readonly string[]>>;

/** A batch for `nft -f` that puts the table into the place of whatever has its name, in one transaction. */
export function replaceTable(table: TableDefinition, elements: MapElements): string {
  return [...deleteTableLines(table.name), ...tableLines(table, elements)].join('\n');
}

/**
 * A batch that makes the table, and fails when there is one. It takes a third of the time of {@link replaceTable}: a
 * program that has deleted anything waits, when it ends, until no processor can be using it any more.
 */
export function createTable(table: TableDefinition, elements: MapElements): string {
  return [`create table ip ${table.name}`, ...tableLines(table, elements)].join('\n');
}

/** A batch that gives a map or set other content, in one transaction and without need to know the old one. */
export function replaceElements(
  table: string,
  name: string,
  elements: readonly string[],
  { kind = 'map' }: { readonly kind?: 'map' | 'set' } = {},
): string {
  return [`flush ${kind} ip ${table} ${name}`, ...addElementLines(table, name, elements), ''].join('\n');
}

/** A batch that deletes the table, and succeeds when there is none. */
export function deleteTable(table: string): string {
  return [...deleteTableLines(table), ''].join('\n');
}

function deleteTableLines(table: string): string[] {
  return [`add table ip ${table}`, `delete table ip ${table}`];
}

function addElementLines(table: string, map: string, elements: readonly string[]): string[] {
  return elements.length === 0 ? [] : [`add element ip ${table} ${map} { ${elements.join(', ')} }`];
}

function tableLines(table: TableDefinition, elements: MapElements): string[] {
  return [
    `table ip ${table.name} {`,
    ...table.maps.flatMap(map => [
      `  map ${map.name} {`,
      `    type ${map.type}`,
      `    comment "${map.comment}"`,
      '  }',
    ]),
    ...(table.sets ?? []).flatMap(set => [
      `  set ${set.name} {`,
      `    ${set.properties}`,
      `    comment "${set.comment}"`,
      '  }',
    ]),
    ...table.chains.flatMap(chain => [
      `  chain ${chain.name} {`,
      `    comment "${chain.comment}"`,
      `    ${chain.hook}; policy accept;`,
      ...chain.rules.map(({ match, verdict, comment }) => `    ${match} ${verdict} comment "${comment}"`),
      '  }',
    ]),
    '}',
    ...Object.entries(elements).flatMap(([map, content]) => addElementLines(table.name, map, content)),
    '',
  ];
}
