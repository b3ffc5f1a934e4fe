import assert from 'node:assert/strict';
import { readSettings, SettingsError } from '@msi-proxy/shared';
import { PROXY_CONFIGURATION, PROXY_SETTINGS } from '../../../src/config.ts';

describe('the settings of the proxy', () => {
  it('have defaults with which nothing needs to be set', () => {
    const settings = readSettings(PROXY_SETTINGS, {});
    assert.deepEqual(settings.listen, { host: '0.0.0.0', port: 80 });
    assert.deepEqual(settings.imdsAddress, { host: '169.254.169.254', port: 80 });
    assert.equal(settings.route, 'auto');
    assert.equal(settings.user, 65_532);
    assert.equal(settings.requireIdentity, false);
    assert.equal(settings.callerWaitMillis, 1_000);
  });

  it('all have the prefix, and no name twice', () => {
    const names = Object.values(PROXY_SETTINGS).map(({ env }) => env);
    assert.ok(names.every(name => name.startsWith(PROXY_CONFIGURATION.prefix)));
    assert.equal(new Set(names).size, names.length);
  });

  it('have defaults that they would take as values', () => {
    for (const setting of Object.values(PROXY_SETTINGS)) {
      const { env, defaultValue, format, parse } = setting as {
        env: string;
        defaultValue: unknown;
        format: (value: unknown) => string;
        parse: (text: string) => unknown;
      };
      assert.deepEqual(parse(format(defaultValue)), defaultValue, env);
    }
  });

  const users: [text: string, expected: number | 'root' | undefined][] = [
    ['root', 'root'],
    ['1', 1],
    ['4294967293', 4_294_967_293],
    // 0 is root by another name, and the two highest mean "no change" and "nobody" to the kernel's calls.
    ['0', undefined],
    ['4294967294', undefined],
    ['nobody', undefined],
    ['-1', undefined],
    ['1e3', undefined],
  ];
  for (const [text, expected] of users) {
    it(`${expected === undefined ? 'do not take' : 'take'} "${text}" for a user`, () => {
      assert.equal(PROXY_SETTINGS.user.parse(text), expected);
    });
  }

  it('take only a path that a Unix socket or a named pipe can have', () => {
    assert.equal(PROXY_SETTINGS.controlSocket.parse('run/control.sock'), undefined);
    assert.equal(PROXY_SETTINGS.controlSocket.parse(`/${'a'.repeat(100)}`), undefined);
    assert.equal(PROXY_SETTINGS.controlSocket.parse('/run/c.sock'), '/run/c.sock');
    assert.equal(PROXY_SETTINGS.controlSocket.parse('//./pipe/msi-proxy'), '//./pipe/msi-proxy');
  });

  it('are reported all at once when they cannot be used', () => {
    const environment = {
      MSI_PROXY_LISTEN: '80',
      MSI_PROXY_ROUTE: 'yes',
      MSI_PROXY_HOLD_MS: '1s',
      MSI_PROXY_USER: '0',
    };
    assert.throws(
      () => readSettings(PROXY_SETTINGS, environment),
      (error: Error) => {
        assert.ok(error instanceof SettingsError);
        assert.deepEqual(error.problems.map(({ env }) => env).sort(), Object.keys(environment).sort());
        return true;
      },
    );
  });
});
