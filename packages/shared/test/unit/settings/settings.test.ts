import assert from 'node:assert/strict';
import {
  booleanSetting,
  choiceSetting,
  effectiveSettings,
  hostPortSetting,
  integerSetting,
  readSettings,
  SettingsError,
  settingsMarkdown,
  textSetting,
  unknownSettings,
} from '@msi-proxy/shared';

const TABLE = {
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
    unit: 'milliseconds',
  }),
  isStrict: booleanSetting({ env: 'APP_STRICT', description: 'Whether it is strict.', defaultValue: false }),
  mode: choiceSetting({
    env: 'APP_MODE',
    description: 'What it does.',
    defaultValue: 'auto',
    choices: ['auto', 'off'],
  }),
  name: textSetting<string | undefined>({
    env: 'APP_NAME',
    description: 'Its name.',
    defaultValue: undefined,
    expectation: 'lower-case letters',
    parse: text => (/^[a-z]+$/.test(text) ? text : undefined),
  }),
};

function problemOf(environment: Record<string, string>): string {
  try {
    readSettings(TABLE, environment);
  } catch (error) {
    assert.ok(error instanceof SettingsError);
    return error.message;
  }
  return assert.fail('accepted');
}

describe('settings', () => {
  it('have their defaults when they are not set', () => {
    assert.deepEqual(readSettings(TABLE, {}), {
      listen: { host: '127.0.0.1', port: 80 },
      waitMillis: 1_000,
      isStrict: false,
      mode: 'auto',
      name: undefined,
    });
  });

  for (const value of ['', ' ', '\t\n']) {
    it(`are not set by ${JSON.stringify(value)}`, () => {
      const blank = { APP_LISTEN: value, APP_WAIT_MS: value, APP_STRICT: value, APP_MODE: value };
      assert.deepEqual(readSettings(TABLE, blank), readSettings(TABLE, {}));
    });
  }

  it('are read without the white space around them', () => {
    const settings = readSettings(TABLE, {
      APP_LISTEN: ' [::1]:8080 ',
      APP_WAIT_MS: '60000\n',
      APP_STRICT: ' ON',
      APP_MODE: 'Off ',
      APP_NAME: 'proxy',
    });
    assert.deepEqual(settings, {
      listen: { host: '::1', port: 8080 },
      waitMillis: 60_000,
      isStrict: true,
      mode: 'off',
      name: 'proxy',
    });
  });

  it('cannot be changed', () => {
    const settings = readSettings(TABLE, {}) as { waitMillis: number };
    assert.throws(() => {
      settings.waitMillis = 1;
    }, TypeError);
  });

  it('are refused with all of their problems at once', () => {
    assert.throws(
      () =>
        readSettings(TABLE, { APP_LISTEN: '80', APP_WAIT_MS: '1s', APP_MODE: 'none', APP_STRICT: 'true' }),
      (error: SettingsError) => {
        assert.equal(error.code, 'MSI_SETTINGS_INVALID');
        assert.deepEqual(error.problems, [
          {
            text: 'APP_LISTEN is "80": expected host:port, such as "127.0.0.1:9180" or "[::1]:9180"',
            env: 'APP_LISTEN',
            value: '80',
            expected: 'host:port, such as "127.0.0.1:9180" or "[::1]:9180"',
          },
          {
            text: 'APP_WAIT_MS is "1s": expected a whole number of milliseconds from 0 to 60000',
            env: 'APP_WAIT_MS',
            value: '1s',
            expected: 'a whole number of milliseconds from 0 to 60000',
          },
          {
            text: 'APP_MODE is "none": expected one of "auto", "off"',
            env: 'APP_MODE',
            value: 'none',
            expected: 'one of "auto", "off"',
          },
        ]);
        assert.match(
          error.message,
          /^APP_LISTEN is "80": expected .*; APP_WAIT_MS is "1s": expected .*; APP_MODE/,
        );
        return true;
      },
    );
  });

  for (const [env, value] of [
    ['APP_WAIT_MS', '-1'],
    ['APP_WAIT_MS', '60001'],
    ['APP_WAIT_MS', '1.5'],
    ['APP_WAIT_MS', '1e3'],
    ['APP_WAIT_MS', '0x10'],
    ['APP_WAIT_MS', 'NaN'],
    ['APP_WAIT_MS', '9'.repeat(30)],
    ['APP_STRICT', 'yes'],
    ['APP_STRICT', 'constructor'],
    ['APP_STRICT', '__proto__'],
    ['APP_MODE', 'autos'],
    ['APP_LISTEN', ':80'],
    ['APP_LISTEN', '::1:80'],
    ['APP_LISTEN', '[127.0.0.1]:80'],
    ['APP_LISTEN', '[:]:80'],
    ['APP_LISTEN', 'a:65536'],
    ['APP_LISTEN', 'a b:80'],
    ['APP_LISTEN', 'http://a:80'],
    ['APP_NAME', 'Proxy'],
  ] as const) {
    it(`refuse ${env}=${value}`, () => {
      assert.ok(problemOf({ [env]: value }).startsWith(`${env} is "${value}": expected `));
    });
  }

  it('show a hostile value printable and shortened', () => {
    const message = problemOf({ APP_NAME: `\u001b[2J${'x'.repeat(1_000)}` });
    assert.match(message, /^APP_NAME is "\\u\{1b\}\[2Jx+…": expected lower-case letters$/);
    assert.ok(message.length < 250);
  });

  it('do not show a token that somebody put into the wrong variable', () => {
    const message = problemOf({ APP_NAME: `eyJhbGciOi.${'x'.repeat(40)}.sig` });
    assert.match(message, /^APP_NAME is "\[redacted\]": expected/);
  });

  it('that are not known are told, within the prefix', () => {
    const environment = { APP_MODE: 'off', APP_MOED: 'off', PATH: '/bin' };
    assert.deepEqual(unknownSettings(TABLE, environment, 'APP_'), ['APP_MOED']);
  });

  it('in force are shown by variable', () => {
    const settings = readSettings(TABLE, { APP_LISTEN: '[::1]:8080' });
    assert.deepEqual(effectiveSettings(TABLE, settings), {
      APP_LISTEN: '[::1]:8080',
      APP_WAIT_MS: '1000',
      APP_STRICT: 'false',
      APP_MODE: 'auto',
      APP_NAME: '',
    });
  });

  it('are a Markdown table for the docs', () => {
    const configuration = { settings: TABLE, prefix: 'APP_', fileName: 'app.yaml' };
    const [head, rule, ...rows] = settingsMarkdown(configuration).split('\n');
    assert.equal(head, '| Variable | In the file | Flag | Meaning | Value | Default | While it runs |');
    assert.equal(rule, '| --- | --- | --- | --- | --- | --- | --- |');
    assert.equal(rows.length, Object.keys(TABLE).length);
    assert.equal(
      rows[1],
      '| `APP_WAIT_MS` | `waitMs` | `--wait-ms` | How long it waits. | a whole number of milliseconds from 0 to 60000 | `1000` | yes |',
    );
    assert.equal(rows[4], '| `APP_NAME` | `name` | `--name` | Its name. | lower-case letters | – | – |');
  });
});
