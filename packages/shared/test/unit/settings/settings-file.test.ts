import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { loadSettings } from '@msi-proxy/shared';
import { CONFIGURATION, loadGiven, problemsOf, SETTINGS, withFile } from './support.ts';

const texts = async (file: string | Uint8Array): Promise<string[]> =>
  (await problemsOf(loadGiven({ file }))).map(({ text }) => text);

describe('a settings file', () => {
  it('gives settings by key, in quotes or without, as text or as what YAML has of its own', async () => {
    const { values, origins, file } = await loadGiven({
      file: [
        '\uFEFF# the settings of a test',
        'listen: "[::1]:8080"   # quoted, because YAML would take it for a list',
        'waitMs: 250',
        "strict: 'on'",
        'logLevel: off',
        'name: a name',
        '"engineHost": >-',
        '  folded',
        '',
      ].join('\r\n'),
    });
    assert.deepEqual(values, {
      listen: { host: '::1', port: 8_080 },
      waitMillis: 250,
      isStrict: true,
      logLevel: 'off',
      name: 'a name',
      engine: 'folded',
    });
    assert.ok(file.isThere);
    assert.deepEqual(origins.waitMillis, { kind: 'file', path: file.path, line: 3, key: 'waitMs' });
  });

  for (const file of [
    '',
    '\n',
    '# nothing but words\n',
    '---\n',
    '{}',
    'name:\nlisten: ~\nwaitMs: null\nstrict: ""\n',
  ]) {
    it(`may give nothing: ${JSON.stringify(file)}`, async () => {
      const { values } = await loadGiven({ file });
      assert.deepEqual(values, (await loadGiven({})).values);
    });
  }

  const refused: Readonly<Record<string, readonly string[]>> = {
    'lisen: 127.0.0.1:80': ['app.yaml:1: unknown setting "lisen" (did you mean "listen"?)'],
    'log-level: debug': ['app.yaml:1: unknown setting "log-level" (did you mean "logLevel"?)'],
    'APP_LOG_LEVEL: debug': ['app.yaml:1: unknown setting "APP_LOG_LEVEL" (did you mean "logLevel"?)'],
    'config: other.yaml': ['app.yaml:1: unknown setting "config"'],
    '__proto__: 1': ['app.yaml:1: unknown setting "__proto__"'],
    'constructor: 1': ['app.yaml:1: unknown setting "constructor"'],
    'waitMs: 1\nlisten: 80\nwaitMs: 2\nstrict: maybe': [
      'app.yaml:3: waitMs is given more than once',
      'app.yaml:2: listen is "80": expected host:port, such as "127.0.0.1:9180" or "[::1]:9180"',
      'app.yaml:4: strict is "maybe": expected "true" or "false"',
    ],
    // What YAML takes for numbers is read as in a variable.
    'waitMs: 1e3': ['app.yaml:1: waitMs is "1e3": expected a whole number from 0 to 60000'],
    'waitMs: 0x10': ['app.yaml:1: waitMs is "0x10": expected a whole number from 0 to 60000'],
    'name: [a, b]': [
      'app.yaml:1: name is not plain text: expected a name without ~; quotes make text of anything',
    ],
    'name:\n  first: a': [
      'app.yaml:1: name is not plain text: expected a name without ~; quotes make text of anything',
    ],
    'name: !!str a': [
      'app.yaml:1: name is not plain text: expected a name without ~; quotes make text of anything',
    ],
    'name: &anchor a\nengineHost: *anchor': [
      'app.yaml:1: name is not plain text: expected a name without ~; quotes make text of anything',
      'app.yaml:2: engineHost is not plain text: expected anything; quotes make text of anything',
    ],
    '[a, b]: c': ['app.yaml:1: a key is not plain text'],
    '- listen: 80': ['app.yaml:1: expected settings, each as "key: value"'],
    'listen 80': ['app.yaml:1: expected settings, each as "key: value"'],
    '<<: {}': ['app.yaml:1: unknown setting "<<"'],
  };
  for (const [file, problems] of Object.entries(refused)) {
    it(`is refused: ${JSON.stringify(file)}`, async () => {
      assert.deepEqual(await texts(file), problems);
    });
  }

  it('is refused for what is no YAML, naming the line and quoting nothing of it', async () => {
    for (const [file, line] of [
      ['name: a\n  listen: secretword', 1],
      ['name: "never closed secretword', 1],
      ['name: a\n---\nname: secretword', 2],
      ['listen: [::1]:secretword', 1],
      ['name: @secretword', 1],
    ] as const) {
      const [first = ''] = await texts(file);
      assert.ok(first.startsWith(`app.yaml:${line}: `), first);
      assert.doesNotMatch(first, /secretword/);
    }
  });

  it('tells file, line, key, value and what was expected apart', async () => {
    const [problem] = await problemsOf(loadGiven({ file: '\nlogLevel: loud' }));
    const { file, ...others } = problem!;
    assert.match(file ?? '', /^\/.*app\.yaml$/);
    assert.deepEqual(others, {
      text: 'app.yaml:2: logLevel is "loud": expected one of "info", "debug", "off"',
      env: 'APP_LOG_LEVEL',
      value: 'loud',
      expected: 'one of "info", "debug", "off"',
      line: 2,
      key: 'logLevel',
    });
  });

  it('cannot bring control characters into a message', async () => {
    for (const text of await texts('"\\e[2J": 1\nname: "~\\e[2J"')) assert.doesNotMatch(text, /\p{Cc}/u);
  });

  it('is refused when it grows beyond all measure, is no text, or is nested like no settings are', async () => {
    assert.deepEqual(await texts(`# ${'x'.repeat(16_384)}`), [
      'app.yaml cannot be read: it is larger than 16384 bytes',
    ]);
    assert.deepEqual(await texts(Buffer.from('name: ä', 'latin1')), [
      'app.yaml is not UTF-8 text: save it as such',
    ]);
    assert.deepEqual(await texts(Buffer.from('\uFEFFname: a', 'utf16le')), [
      'app.yaml is not UTF-8 text: save it as such',
    ]);
    for (const part of ['[', '{', '? ', '- ', 'a: ', '&a ', 'b: *a\n']) {
      const { length } = await texts(part.repeat(Math.floor(1_000 / part.length)));
      assert.ok(length > 0 && length < 25, `${part} ${length}`);
    }
    // Each alias stands for nine of the one before.
    const bomb = ['a: &a [x,x,x,x,x,x,x,x,x]'];
    for (let level = 1; level < 10; level += 1) {
      bomb.push(
        `b${level}: &b${level} [${Array(9)
          .fill(level === 1 ? '*a' : `*b${level - 1}`)
          .join()}]`,
      );
    }
    assert.equal((await texts(bomb.join('\n'))).length, 10);
  });

  it('of any bytes is read or refused', async () => {
    const line = fc.oneof(
      fc.string(),
      fc.constantFrom(
        'listen: 1.2.3.4:5',
        'name: &a',
        '*a',
        '- ',
        '  ',
        '"',
        '? [',
        '!!binary',
        '%YAML 1.1',
        '---',
      ),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.array(line, { maxLength: 8 }).map(lines => lines.join('\n')),
          fc.uint8Array({ maxLength: 60 }),
        ),
        async file => {
          try {
            await loadGiven({ file });
          } catch (error) {
            assert.equal((error as { code?: string }).code, 'MSI_SETTINGS_INVALID');
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  describe('on the disk', () => {
    let folder: string;
    beforeEach(() => {
      folder = mkdtempSync(join(tmpdir(), 'msi-proxy-'));
    });
    afterEach(() => rmSync(folder, { recursive: true }));

    const load = (path: string, by: 'flag' | 'variable' = 'flag') =>
      loadSettings(
        CONFIGURATION,
        {
          platform: 'linux',
          environment: by === 'variable' ? { APP_CONFIG: path } : {},
          flags: by === 'flag' ? { config: path } : {},
        },
        SETTINGS,
      );
    const problemsAt = async (...where: Parameters<typeof load>) =>
      (await problemsOf(load(...where))).map(({ text }) => text);

    it('must be there when it is named', async () => {
      const path = join(folder, 'app.yaml');
      assert.deepEqual(await problemsAt(path), ['app.yaml (--config) does not exist']);
      assert.deepEqual(await problemsAt(path, 'variable'), ['app.yaml (APP_CONFIG) does not exist']);
    });

    it('must be a file that ends', async () => {
      const pipe = join(folder, 'app-pipe');
      execFileSync('mkfifo', [pipe]);
      for (const path of [pipe, '/dev/zero']) {
        assert.match((await problemsAt(path))[0]!, /cannot be read: it is no regular file$/);
      }
      assert.match((await problemsAt(folder))[0]!, /cannot be read: /);
      assert.match((await problemsAt('/dev/null/app.yaml'))[0]!, /cannot be read: .*ENOTDIR/);
    });

    it('is warned of when everybody can write it', async () => {
      const path = join(folder, 'app.yaml');
      writeFileSync(path, 'name: a');
      assert.deepEqual((await load(path)).warnings, []);
      execFileSync('chmod', ['o+w', path]);
      assert.deepEqual((await load(path)).warnings, [
        `${path} can be changed by every user of this machine: take that right away (chmod o-w)`,
      ]);
    });
  });

  it('costs the start of a program nothing when there is none: its library is not even loaded', async () => {
    const script = `
      const { loadSettings, integerSetting } = await import('@msi-proxy/shared');
      const settings = { a: integerSetting({ env: 'NO_A', description: '', defaultValue: 1, min: 0, max: 9 }) };
      const configuration = { settings, prefix: 'NO_', fileName: 'no-such-program.yaml' };
      await loadSettings(configuration, { environment: process.env, platform: 'linux' }, settings);
      const { createRequire } = await import('node:module');
      const loaded = Object.keys(createRequire(import.meta.url).cache).filter(file => file.includes('/yaml/'));
      process.stdout.write(loaded.length === 0 ? 'not loaded' : 'loaded');
    `;
    const argv = ['--conditions=@msi-proxy/source', '--input-type=module', '--eval', script];
    const run = (env: Record<string, string>) =>
      execFileSync(process.execPath, argv, { cwd: import.meta.dirname, encoding: 'utf8', env });
    assert.equal(run({}), 'not loaded');
    await withFile('a: 2', async path => {
      await Promise.resolve();
      assert.equal(run({ NO_CONFIG: path! }), 'loaded');
    });
  });
});
