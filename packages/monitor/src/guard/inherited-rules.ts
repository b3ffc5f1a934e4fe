import type { RuleReading, TableReading } from '../nft/table-reading.ts';
import type { VmRulesWanted } from './vm-rules.ts';
import { ANSWERS_RULE, parseTargetElement, PROXIES_RULE, STAND_IN_RULE, TARGET_MAP } from './vm-table.ts';

/** What an earlier monitor had found out, as far as its rules tell. */
export type InheritedRules = Pick<VmRulesWanted, 'proxyBridge' | 'proxyAddresses' | 'target' | 'standIn'>;

/** Reads it from the table of the VM, whose text is nft's JSON (libnftables-json(5)). */
export function readInheritedRules(table: TableReading): InheritedRules {
  const rules = [...table.rules.values()].flat();
  const withComment = (comment: string) => rules.find(rule => rule.comment === comment)?.text;
  const interfaceName = readProxyBridge(rules);
  if (interfaceName === undefined) return {};

  // Without a guard there are their answers to tell who they are.
  const proxyAddresses = readSources(withComment(PROXIES_RULE) ?? withComment(ANSWERS_RULE));
  const target = firstDefined(table.elements.get(TARGET_MAP)?.map(parseTargetElement) ?? []);
  const standIn = readStandIn(withComment(STAND_IN_RULE) ?? '');
  const isStandIn = target !== undefined && target.address === standIn?.address;
  return {
    proxyBridge: { interfaceName },
    ...(standIn !== undefined && { standIn }),
    ...(proxyAddresses !== undefined && { proxyAddresses }),
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

/** By the rules for what comes from elsewhere than the proxies, or from them: clients can have a bridge of their own (`attach`). */
function readProxyBridge(rules: readonly RuleReading[]): string | undefined {
  const named = (operator: string) =>
    new RegExp(`"op":"${operator}","left":\\{"meta":\\{"key":"iifname"\\}\\},"right":"([\\w.@:-]{1,15})"`);
  return firstMatch(
    rules.map(({ comment, text }) => named(comment === PROXIES_RULE ? '==' : '!=').exec(text)),
  );
}

/** @returns undefined where the rule lets everybody on the bridge pass; without a rule, nobody does */
function readSources(rule: string | undefined): readonly string[] | undefined {
  if (rule?.includes('"field":"saddr"') === false) return undefined;
  const [, sources] = /"field":"saddr"\}\},"right":(\{[^}]*\}|"[^"]*")/.exec(rule ?? '') ?? [];
  return sources?.match(/\d+\.\d+\.\d+\.\d+/g) ?? [];
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
