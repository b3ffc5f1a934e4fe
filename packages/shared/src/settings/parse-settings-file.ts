import { isMap, isScalar, LineCounter, parseDocument, type Node, type Pair } from 'yaml';
import { nearest } from '../command-line/nearest.ts';
import { settingNames, type Configuration } from './configuration.ts';
import { fileProblem, shownText, type SettingProblem } from './setting-problem.ts';
import type { Setting } from './setting.ts';

export interface FileEntry {
  readonly text: string;
  readonly line: number;
}

export interface ParsedSettingsFile {
  readonly entries: ReadonlyMap<string, FileEntry>;
  readonly problems: readonly SettingProblem[];
}

/** What is no settings file at all can be wrong in thousands of places. */
const MAX_PROBLEMS = 20;

/**
 * Reads settings written in YAML: `key: value`, one a line. Values are taken as they are written, and not as what YAML
 * makes of them, so that a text means the same here as in a variable. What YAML has beyond that (anchors, tags, lists, more
 * than one document) is refused: it would only hide what is set.
 */
export function parseSettingsFile(
  text: string,
  path: string,
  configuration: Configuration,
): ParsedSettingsFile {
  return new Reader(path, configuration).read(text);
}

class Reader {
  readonly #path: string;
  readonly #prefix: string;
  readonly #settings: ReadonlyMap<string, Setting<unknown>>;
  readonly #lines = new LineCounter();
  readonly #entries = new Map<string, FileEntry>();
  readonly #problems: SettingProblem[] = [];

  constructor(path: string, { settings, prefix }: Configuration) {
    this.#path = path;
    this.#prefix = prefix;
    this.#settings = new Map(
      Object.values(settings).map(setting => [settingNames(setting, prefix).key, setting]),
    );
  }

  read(text: string): ParsedSettingsFile {
    try {
      this.#readDocument(text);
    } catch (error) {
      // Brackets nested thousands deep exhaust the stack of the library.
      if (!(error instanceof RangeError)) throw error;
      this.#refuse(1, 'it is nested too deeply');
    }
    const problems = this.#problems.slice(0, MAX_PROBLEMS);
    const further = this.#problems.length - problems.length;
    if (further > 0) problems.push(fileProblem(this.#path, `has ${further} further problems`));
    return { entries: this.#entries, problems };
  }

  #readDocument(text: string): void {
    const document = parseDocument(text, {
      lineCounter: this.#lines,
      // Messages would quote the lines of the file, whatever they hold.
      prettyErrors: false,
      // Told here, with the line of the second one.
      uniqueKeys: false,
      // Below that a second document would be ignored without a word.
      logLevel: 'error',
    });
    for (const { message, pos } of document.errors) {
      this.#refuse(this.#lineAt(pos[0]), shownText(message.split('\n')[0] ?? ''));
    }
    const { contents } = document;
    if (contents === null || (isScalar(contents) && contents.value === null)) return;
    if (!isMap<Node, Node | null>(contents)) {
      // After an error of the syntax this says nothing new.
      if (document.errors.length === 0) this.#refuse(1, 'expected settings, each as "key: value"');
      return;
    }
    for (const pair of contents.items) this.#readPair(pair);
  }

  #readPair({ key: keyNode, value: valueNode }: Pair<Node, Node | null>): void {
    const line = this.#lineOf(keyNode);
    const key = plainText(keyNode);
    if (key === undefined) {
      this.#refuse(line, 'a key is not plain text');
      return;
    }
    const setting = this.#settings.get(key);
    if (setting === undefined) {
      const meant = this.#meantBy(key);
      const hint = meant === undefined ? '' : ` (did you mean "${meant}"?)`;
      this.#refuse(line, `unknown setting "${shownText(key)}"${hint}`, { key: shownText(key) });
      return;
    }
    const value = valueNode === null ? '' : plainText(valueNode);
    if (value === undefined) {
      const { env, expectation: expected } = setting;
      this.#refuse(line, `${key} is not plain text: expected ${expected}; quotes make text of anything`, {
        env,
        key,
        expected,
      });
      return;
    }
    if (this.#entries.has(key))
      this.#refuse(line, `${key} is given more than once`, { env: setting.env, key });
    else this.#entries.set(key, { text: value, line });
  }

  /** The key for what somebody wrote in the spelling of another place, or wrongly. */
  #meantBy(written: string): string | undefined {
    const bare = (name: string) => name.toLowerCase().replace(/[-_]/g, '');
    const text = written.startsWith(this.#prefix) ? written.slice(this.#prefix.length) : written;
    const keys = [...this.#settings.keys()];
    return keys.find(key => bare(key) === bare(text)) ?? nearest(text, keys);
  }

  #refuse(line: number, what: string, more: Partial<SettingProblem> = {}): void {
    const file = this.#path;
    this.#problems.push({ text: `${shownText(file)}:${line}: ${what}`, file, line, ...more });
  }

  #lineOf(node: Node): number {
    return this.#lineAt(node.range?.[0] ?? 0);
  }

  #lineAt(offset: number): number {
    return Math.max(1, this.#lines.linePos(offset).line);
  }
}

/** The text of a scalar as it is written, without quotes; empty for YAML's null. Undefined for anything else. */
function plainText(node: Node): string | undefined {
  if (!isScalar(node) || node.tag !== undefined || node.anchor !== undefined) return undefined;
  if (node.value === null) return '';
  return node.source ?? '';
}
