import type { SettingsOf, SettingsTable } from './read-settings.ts';
import { formatOrigin, type SettingOrigin } from './setting-origin.ts';
import { shownText, type SettingProblem } from './setting-problem.ts';
import type { Setting } from './setting.ts';

/** What one source (a file, the environment, flags) says of a setting; `undefined` for nothing. */
export type SettingsSource = (setting: Setting<unknown>) => GivenText | undefined;

export interface GivenText {
  readonly text: string;
  readonly origin: Exclude<SettingOrigin, { readonly kind: 'default' }>;
}

export interface ResolvedSettings<Table extends SettingsTable> {
  readonly values: SettingsOf<Table>;
  readonly origins: { readonly [Key in keyof Table]: SettingOrigin };
  readonly problems: readonly SettingProblem[];
}

const DEFAULT: SettingOrigin = { kind: 'default' };

/**
 * Takes each setting from the first source that gives it. White space around texts is ignored, and an empty text counts
 * as not given, which is what `-e NAME=` and empty lines of an env file mean. What is given must be as expected also where
 * a stronger source prevails.
 *
 * @param sources the strongest first
 */
export function resolveSettings<Table extends SettingsTable>(
  table: Table,
  sources: readonly SettingsSource[],
): ResolvedSettings<Table> {
  const values: Record<string, unknown> = {};
  const origins: Record<string, SettingOrigin> = {};
  const problems: SettingProblem[] = [];
  for (const [key, setting] of Object.entries(table)) {
    values[key] = setting.defaultValue;
    origins[key] = DEFAULT;
    // The weakest first, so that the strongest is the one that stays.
    for (const source of sources.toReversed()) {
      const given = source(setting);
      const text = given?.text.trim() ?? '';
      if (given === undefined || text === '') continue;
      const value: unknown = setting.parse(text);
      if (value === undefined) problems.push(problemOf(setting, text, given.origin));
      values[key] = value;
      origins[key] = given.origin;
    }
  }
  return { values: Object.freeze(values), origins, problems } as ResolvedSettings<Table>;
}

function problemOf(
  { env, expectation }: Setting<unknown>,
  text: string,
  origin: GivenText['origin'],
): SettingProblem {
  const value = shownText(text);
  const name = origin.kind === 'file' ? `${formatOrigin(origin)}: ${origin.key}` : origin.name;
  return {
    text: `${name} is "${value}": expected ${expectation}`,
    env,
    value,
    expected: expectation,
    ...(origin.kind === 'file' && { file: origin.path, line: origin.line, key: origin.key }),
  };
}
