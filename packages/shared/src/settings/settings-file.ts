import { close, constants, fstat, open, read } from 'node:fs';
import { promisify } from 'node:util';
import { codeOf, messageOf } from '../errors/msi-proxy-error.ts';
import type { SettingsSource } from './resolve-settings.ts';
import { settingNames, type Configuration } from './configuration.ts';
import { fileProblem, type SettingProblem } from './setting-problem.ts';

/** A settings file is a page or two of text; whatever is larger is something else, and may take long to understand. */
export const MAX_SETTINGS_FILE_BYTES = 16_384;

/** A settings file that was read. */
export interface SettingsFile {
  readonly source: SettingsSource;
  /** Of the file as a whole: what is no setting, and what is no text. */
  readonly problems: readonly SettingProblem[];
  /** What is worth a word, but in nobody's way. */
  readonly warnings: readonly string[];
}

const NOTHING: SettingsFile = { source: () => undefined, problems: [], warnings: [] };

/**
 * Reads a settings file. The library that understands YAML is loaded only when there is one.
 *
 * @param platform as Node names it
 * @returns undefined when no such file is there
 */
export async function readSettingsFile(
  path: string,
  configuration: Configuration,
  platform: string,
): Promise<SettingsFile | undefined> {
  let file: { readonly bytes: Buffer; readonly mode: number };
  try {
    file = await readRegularFile(path);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    return { ...NOTHING, problems: [fileProblem(path, `cannot be read: ${messageOf(error)}`)] };
  }
  const text = decoded(file.bytes);
  if (text === undefined) {
    return { ...NOTHING, problems: [fileProblem(path, 'is not UTF-8 text: save it as such')] };
  }
  const { parseSettingsFile } = await import('./parse-settings-file.ts');
  const { entries, problems } = parseSettingsFile(text, path, configuration);
  const warnings =
    platform !== 'win32' && (file.mode & 0o002) !== 0
      ? [`${path} can be changed by every user of this machine: take that right away (chmod o-w)`]
      : [];
  return {
    problems,
    warnings,
    source: setting => {
      const { key } = settingNames(setting, configuration.prefix);
      const entry = entries.get(key);
      return entry && { text: entry.text, origin: { kind: 'file', path, line: entry.line, key } };
    },
  };
}

const fs = {
  close: promisify(close),
  fstat: promisify(fstat),
  open: promisify(open),
  read: promisify(read),
};

/** @throws {Error} also for a folder, a pipe or a device, which would have no end or never begin, and for what is too large */
async function readRegularFile(path: string): Promise<{ bytes: Buffer; mode: number }> {
  // Opening a pipe would wait for its writer. Windows has no such flag (it is undefined there, which counts as 0), and no
  // pipes among its files.
  const descriptor = await fs.open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const stats = await fs.fstat(descriptor);
    if (!stats.isFile()) throw new Error('it is no regular file');
    const buffer = Buffer.alloc(MAX_SETTINGS_FILE_BYTES + 1);
    let length = 0;
    for (;;) {
      const { bytesRead } = await fs.read(descriptor, buffer, length, buffer.length - length, null);
      length += bytesRead;
      if (length > MAX_SETTINGS_FILE_BYTES) {
        throw new Error(`it is larger than ${MAX_SETTINGS_FILE_BYTES} bytes`);
      }
      if (bytesRead === 0) return { bytes: buffer.subarray(0, length), mode: stats.mode };
    }
  } finally {
    await fs.close(descriptor);
  }
}

function decoded(bytes: Buffer): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
