import type { TableReading } from '../nft/table-reading.ts';
import type { VmRulesWanted } from './vm-rules.ts';
import { parseTargetElement, PROXIES_RULE, STAND_IN_RULE, TARGET_MAP } from './vm-table.ts';

/** What an earlier monitor had found out, as far as its rules tell. */
export type InheritedRules = Pick<VmRulesWanted, 'proxyBridge' | 'proxyAddresses' | 'target' | 'standIn'>;

/** Reads it from the table of the VM, whose text is nft's JSON (libnftables-json(5)). */
export function readInheritedRules(table: TableReading): InheritedRules {
  const rules = [...table.rules.values()].flat();
  const interfaceName = firstMatch(
    rules.map(({ text }) => /"key":"iifname"\}\},"right":"([\w.@:-]{1,15})"/.exec(text)),
  );
  if (interfaceName === undefined) return {};

  const proxies = rules.find(({ comment }) => comment === PROXIES_RULE)?.text ?? '';
  const sources = firstMatch([/"field":"saddr"\}\},"right":(\{[^}]*\}|"[^"]*")/.exec(proxies)]);
  const target = firstDefined(table.elements.get(TARGET_MAP)?.map(parseTargetElement) ?? []);
  const standIn = readStandIn(rules.find(({ comment }) => comment === STAND_IN_RULE)?.text ?? '');
  const isStandIn = target !== undefined && target.address === standIn?.address;
  return {
    proxyBridge: { interfaceName },
    ...(standIn !== undefined && { standIn }),
    ...(sources !== undefined && { proxyAddresses: sources.match(/\d+\.\d+\.\d+\.\d+/g) ?? [] }),
    ...(target !== undefined && !isStandIn && { target }),
  };
}

/** What is wanted, where it is not known yet as it was. A target stays only while it is known to be a proxy still. */
export function withInheritedRules(wanted: VmRulesWanted, inherited: InheritedRules): VmRulesWanted {
  if (wanted.proxyBridge === undefined) return { ...inherited, ...wanted };
  const { target } = inherited;
  const stays = target !== undefined && wanted.proxyAddresses?.includes(target.address) === true;
  return stays ? { target, ...wanted } : wanted;
}

function readStandIn(rule: string): VmRulesWanted['standIn'] {
  const [, address] = /"field":"daddr"\}\},"right":"(\d+\.\d+\.\d+\.\d+)"/.exec(rule) ?? [];
  const [, port] = /"field":"dport"\}\},"right":(\d+)/.exec(rule) ?? [];
  return address === undefined || port === undefined ? undefined : { address, port: Number(port) };
}

function firstMatch(matches: readonly (RegExpExecArray | null)[]): string | undefined {
  return firstDefined(matches.map(match => match?.[1]));
}

function firstDefined<Value>(values: readonly (Value | undefined)[]): Value | undefined {
  return values.find(value => value !== undefined);
}
