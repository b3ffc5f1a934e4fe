import assert from 'node:assert/strict';
import fc from 'fast-check';
import { defaultSettingsFile, loadSettings, settingNames, type SettingsOf } from '@msi-proxy/shared';
import { printedSettings } from '../../../src/settings/print-settings.ts';
import { CONFIGURATION, loadGiven, problemsOf, SETTINGS, withFile, type Given } from './support.ts';

const NAMES = Object.values(SETTINGS).map(setting => settingNames(setting, CONFIGURATION.prefix));

describe('the names of a setting', () => {
  it('follow from its variable', () => {
    assert.deepEqual(settingNames({ env: 'APP_LOG_LEVEL' }, 'APP_'), {
      env: 'APP_LOG_LEVEL',
      key: 'logLevel',
      flag: 'log-level',
    });
    assert.deepEqual(settingNames({ env: 'DOCKER_HOST' }, 'APP_'), {
      env: 'DOCKER_HOST',
      key: 'dockerHost',
      flag: 'docker-host',
    });
  });
});

describe('settings from flags, environment and file', () => {
  it('are taken from the flag before the variable, from the variable before the file', async () => {
    const file = 'logLevel: "off"\nwaitMs: 1\nname: file';
    const environment = { APP_LOG_LEVEL: 'debug', APP_WAIT_MS: '2' };
    const flags = { 'log-level': 'info' };
    const { values, origins } = await loadGiven({ file, environment, flags });
    assert.equal(values.logLevel, 'info');
    assert.deepEqual(origins.logLevel, { kind: 'flag', name: '--log-level' });
    assert.equal(values.waitMillis, 2);
    assert.deepEqual(origins.waitMillis, { kind: 'environment', name: 'APP_WAIT_MS' });
    assert.equal(values.name, 'file');
    assert.equal(origins.name.kind, 'file');
    assert.equal(values.isStrict, false);
    assert.deepEqual(origins.isStrict, { kind: 'default' });
  });

  it('are taken from the next place where one says nothing', async () => {
    const { values } = await loadGiven({
      file: 'waitMs: 1\nlogLevel:',
      environment: { APP_WAIT_MS: '', APP_LOG_LEVEL: ' ' },
      flags: { 'wait-ms': '' },
    });
    assert.equal(values.waitMillis, 1);
    assert.equal(values.logLevel, 'info');
  });

  it('are refused with all that is wrong anywhere, also where another place prevails', async () => {
    const given: Given = {
      file: 'waitMs: x\nstrict: x\nnaem: x',
      environment: { APP_WAIT_MS: 'y', APP_LISTEN: 'y' },
      flags: { 'wait-ms': '3', 'log-level': 'z' },
    };
    const names = (await problemsOf(loadGiven(given))).map(({ text }) => text.split(/ is | \(/)[0]);
    assert.deepEqual(names.toSorted(), [
      '--log-level',
      'APP_LISTEN',
      'APP_WAIT_MS',
      'app.yaml:1: waitMs',
      'app.yaml:2: strict',
      'app.yaml:3: unknown setting "naem"',
    ]);
  });

  it('that a command does not need are not its business, as long as the file can be read', async () => {
    await withFile('waitMs: x\nnaem: x\nname: [x]\nlogLevel: debug', async path => {
      const places = { environment: { APP_LISTEN: 'y' }, flags: { config: path! }, platform: 'linux' };
      const part = { logLevel: SETTINGS.logLevel };
      assert.deepEqual((await loadSettings(CONFIGURATION, places, part)).values, { logLevel: 'debug' });
      await assert.rejects(loadSettings(CONFIGURATION, places, { name: SETTINGS.name }), /:3: name is not/);
    });
    await withFile('logLevel: debug\n"', async path => {
      const places = { environment: {}, flags: { config: path! }, platform: 'linux' };
      await assert.rejects(loadSettings(CONFIGURATION, places, { logLevel: SETTINGS.logLevel }), /:2: /);
    });
  });

  it('come with a word on variables that are none, but not on the one that names the file', async () => {
    await withFile('', async path => {
      const environment = { APP_CONFIG: path!, APP_LOGLEVEL: 'debug', APP_1_PORT: 'tcp://x', PATH: '/bin' };
      const { warnings, file } = await loadSettings(
        CONFIGURATION,
        { environment, platform: 'linux' },
        SETTINGS,
      );
      assert.deepEqual(file, { path, isThere: true });
      assert.deepEqual(warnings, [
        'APP_LOGLEVEL is not a setting of this program and has no effect (did you mean APP_LOG_LEVEL?)',
        'APP_1_PORT is not a setting of this program and has no effect',
      ]);
    });
  });

  it('are looked for in a file of the program’s own, which need not be there', async () => {
    assert.equal(
      defaultSettingsFile(CONFIGURATION, { platform: 'linux', environment: {} }),
      '/etc/msi-proxy/app.yaml',
    );
    const onWindows = (environment: Record<string, string>) =>
      defaultSettingsFile(CONFIGURATION, { platform: 'win32', environment });
    assert.equal(onWindows({ ProgramData: 'D:\\Data' }), 'D:\\Data\\msi-proxy\\app.yaml');
    assert.equal(onWindows({}), 'C:\\ProgramData\\msi-proxy\\app.yaml');
    const { file } = await loadSettings(CONFIGURATION, { environment: {}, platform: 'linux' }, SETTINGS);
    assert.deepEqual(file, { path: '/etc/msi-proxy/app.yaml', isThere: false });
  });

  // Texts with white space around them are the same without it; a variable cannot hold a zero.
  const text = fc
    .oneof(
      fc.string(),
      fc.constantFrom(
        'on',
        'debug',
        '7',
        '0x7',
        '1.2.3.4:5',
        '[::1]:80',
        'null',
        '~',
        'true',
        ': ',
        '# a',
        '"',
      ),
      fc.nat().map(String),
    )
    .filter(value => !value.includes('\0'));

  it('are the same, or wrong in the same way, whichever way they are given', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(text, { minLength: NAMES.length, maxLength: NAMES.length }), async values => {
        const by = (name: 'env' | 'flag') =>
          Object.fromEntries(NAMES.map((names, index) => [names[name], values[index]!]));
        // JSON's way to write a text is one of YAML's.
        const file = NAMES.map(({ key }, index) => `${key}: ${JSON.stringify(values[index])}`).join('\n');
        const outcomes = await Promise.all(
          [{ environment: by('env') }, { flags: by('flag') }, { file }].map(given => outcomeOf(given)),
        );
        assert.deepEqual(outcomes[1], outcomes[0]);
        assert.deepEqual(outcomes[2], outcomes[0]);
      }),
      { numRuns: 300 },
    );
  });

  it('are printed as a file that gives the same', async () => {
    await fc.assert(
      fc.asyncProperty(text, fc.boolean(), fc.nat(60_000), async (name, isStrict, wait) => {
        fc.pre(!name.includes('~'));
        const environment = { APP_NAME: name, APP_STRICT: String(isStrict), APP_WAIT_MS: String(wait) };
        const loaded = await loadGiven({ environment });
        const file = printedSettings(CONFIGURATION, SETTINGS, loaded, 'text');
        assert.deepEqual((await loadGiven({ file })).values, loaded.values);
      }),
      { numRuns: 200 },
    );
  });

  it('are printed with what gave them', async () => {
    const loaded = await loadGiven({
      file: '# first\nwaitMs: 5',
      environment: { APP_LISTEN: '[::1]:8080' },
      flags: { strict: 'true' },
    });
    const { path } = loaded.file;
    assert.equal(
      printedSettings(CONFIGURATION, SETTINGS, loaded, 'text'),
      [
        `# ${path}`,
        'listen: "[::1]:8080"  # APP_LISTEN',
        `waitMs: 5             # ${path}:2`,
        'strict: true          # --strict',
        'logLevel: info        # default',
        'name:                 # default',
        'engineHost: here      # default',
        '',
      ].join('\n'),
    );
  });
});

async function outcomeOf(given: Given): Promise<SettingsOf<typeof SETTINGS> | unknown[]> {
  try {
    return (await loadGiven(given)).values;
  } catch (error) {
    const { problems } = error as { problems: { env?: string; value?: string; expected?: string }[] };
    return problems.map(({ env, value, expected }) => ({ env, value, expected }));
  }
}
