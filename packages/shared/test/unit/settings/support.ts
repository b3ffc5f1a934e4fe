import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  booleanSetting,
  choiceSetting,
  hostPortSetting,
  integerSetting,
  loadSettings,
  SettingsError,
  textSetting,
  type LoadedSettings,
  type SettingProblem,
} from '@msi-proxy/shared';

export const SETTINGS = {
  listen: hostPortSetting({
    env: 'APP_LISTEN',
    description: 'Where it listens.',
    defaultValue: { host: '127.0.0.1', port: 80 },
  }),
  waitMillis: integerSetting({
    env: 'APP_WAIT_MS',
    reloadable: true,
    description: 'How long it waits.',
    defaultValue: 1_000,
    min: 0,
    max: 60_000,
  }),
  isStrict: booleanSetting({ env: 'APP_STRICT', description: 'Whether.', defaultValue: false }),
  logLevel: choiceSetting({
    env: 'APP_LOG_LEVEL',
    reloadable: true,
    description: 'How much.',
    defaultValue: 'info',
    choices: ['info', 'debug', 'off'],
  }),
  name: textSetting<string | undefined>({
    env: 'APP_NAME',
    description: 'Its name.',
    defaultValue: undefined,
    expectation: 'a name without ~',
    parse: text => (text.includes('~') ? undefined : text),
    format: name => name ?? '',
  }),
  engine: textSetting({
    env: 'ENGINE_HOST',
    description: 'Another program’s variable.',
    defaultValue: 'here',
    expectation: 'anything',
    parse: text => text,
  }),
};

export const CONFIGURATION = { settings: SETTINGS, prefix: 'APP_', fileName: 'app.yaml' };

export interface Given {
  readonly file?: string | Uint8Array;
  readonly environment?: Readonly<Record<string, string>>;
  readonly flags?: Readonly<Record<string, string>>;
}

/** Loads settings with a file of this content. */
export async function loadGiven({ file, environment, flags = {} }: Given) {
  return await withFile(file, path =>
    loadSettings(
      CONFIGURATION,
      {
        environment: environment ?? {},
        flags: { ...flags, ...(path !== undefined && { config: path }) },
        platform: 'linux',
      },
      SETTINGS,
    ),
  );
}

export async function withFile<T>(
  content: string | Uint8Array | undefined,
  use: (path: string | undefined) => Promise<T>,
): Promise<T> {
  if (content === undefined) return await use(undefined);
  const folder = await mkdtemp(join(tmpdir(), 'msi-proxy-'));
  try {
    const path = join(folder, 'app.yaml');
    await writeFile(path, content);
    return await use(path);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** @returns what is wrong, without the names of temporary folders */
export async function problemsOf(
  loading: Promise<LoadedSettings<typeof SETTINGS>>,
): Promise<(SettingProblem & { readonly text: string })[]> {
  try {
    await loading;
  } catch (error) {
    if (error instanceof SettingsError) {
      return error.problems.map(problem => ({ ...problem, text: problem.text.replace(/\S*\/(?=app)/, '') }));
    }
    throw error;
  }
  throw new Error('accepted');
}
