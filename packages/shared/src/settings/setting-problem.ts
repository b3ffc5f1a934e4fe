import { MsiProxyError } from '../errors/msi-proxy-error.ts';
import { redactText } from '../logging/redact.ts';
import { printable } from '../policy/problem.ts';

/** Something that is wrong with what a program was given as settings. */
export interface SettingProblem {
  /** All of it in words. */
  readonly text: string;
  /** The variable of the setting, whichever way it was given. Absent where no setting of the table is meant. */
  readonly env?: string;
  readonly value?: string;
  readonly expected?: string;
  /** Where it was given in a file. */
  readonly file?: string;
  readonly line?: number;
  readonly key?: string;
}

/** Thrown with every problem at once. Programs exit with code 78. */
export class SettingsError extends MsiProxyError {
  override readonly name = 'SettingsError';
  readonly problems: readonly SettingProblem[];

  constructor(problems: readonly SettingProblem[]) {
    super('MSI_SETTINGS_INVALID', problems.map(({ text }) => text).join('; '));
    this.problems = problems;
  }
}

/** A problem of a settings file as a whole. */
export function fileProblem(file: string, what: string): SettingProblem {
  return { text: `${shownText(file)} ${what}`, file };
}

/** Text as it may be shown. Whoever mistakes one variable for another may have put a secret into it. */
export function shownText(text: string): string {
  return printable(redactText(text));
}
