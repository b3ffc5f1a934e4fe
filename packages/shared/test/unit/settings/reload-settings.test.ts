import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { PassThrough } from 'node:stream';
import {
  createLogger,
  loadSettings,
  ReloadRequests,
  settingsReload,
  type SettingsOf,
} from '@msi-proxy/shared';
import { CONFIGURATION, SETTINGS, withFile } from './support.ts';

interface Running {
  readonly path: string;
  readonly reload: () => Promise<void>;
  /** What was applied, each time. */
  readonly applied: SettingsOf<typeof SETTINGS>[];
  /** Lines of the log since the last look. */
  readonly newLines: () => Record<string, unknown>[];
}

async function withRunning(content: string, test: (running: Running) => Promise<void>): Promise<void> {
  await withFile(content, async path => {
    const stream = new PassThrough({ encoding: 'utf8' });
    const lines: Record<string, unknown>[] = [];
    stream.on('data', (line: string) => lines.push(JSON.parse(line) as Record<string, unknown>));
    const applied: SettingsOf<typeof SETTINGS>[] = [];
    const places = { environment: { APP_NAME: 'fixed' }, flags: { config: path! }, platform: 'linux' };
    const load = () => loadSettings(CONFIGURATION, places, SETTINGS);
    const reload = settingsReload({
      configuration: CONFIGURATION,
      loaded: await load(),
      load,
      apply: settings => applied.push(settings),
      logger: createLogger({ component: 'app', stream }),
    });
    await test({ path: path!, reload, applied, newLines: () => lines.splice(0) });
  });
}

describe('reading settings again', () => {
  it('takes over those that can be changed, and says of others that they need a restart', async () => {
    await withRunning('waitMs: 1\nlisten: 127.0.0.1:81', async ({ path, reload, applied, newLines }) => {
      writeFileSync(path, 'waitMs: 2\nlogLevel: debug\nlisten: 127.0.0.1:82\nname: other');
      await reload();
      assert.deepEqual(applied, [
        {
          listen: { host: '127.0.0.1', port: 81 },
          waitMillis: 2,
          isStrict: false,
          logLevel: 'debug',
          name: 'fixed',
          engine: 'here',
        },
      ]);
      const [warning, summary] = newLines();
      assert.equal(warning?.['level'], 'warn');
      assert.equal(warning['msg'], 'listen was changed and needs a restart: "127.0.0.1:81" holds until then');
      assert.equal(warning['wanted'], '127.0.0.1:82');
      assert.equal(summary?.['msg'], 'Settings were read again');
      assert.deepEqual(summary['changed'], { waitMs: '2', logLevel: 'debug' });
      assert.deepEqual(summary['needRestart'], ['listen']);

      // Nothing is new, but the restart is still due.
      await reload();
      assert.deepEqual(
        newLines().map(({ changed }) => changed),
        [undefined, {}],
      );
    });
  });

  it('changes nothing when anything is wrong in the file, and says what', async () => {
    await withRunning('waitMs: 1', async ({ path, reload, applied, newLines }) => {
      writeFileSync(path, 'waitMs: 2\nlogLevel: loud\nlisten: 80');
      await reload();
      assert.deepEqual(applied, []);
      const lines = newLines();
      assert.deepEqual(
        lines.map(({ level, code, file, line, key, value }) => ({ level, code, file, line, key, value })),
        [
          { key: 'listen', line: 3, value: '80' },
          { key: 'logLevel', line: 2, value: 'loud' },
        ].map(each => ({ level: 'error', code: 'MSI_SETTINGS_INVALID', file: path, ...each })),
      );
      for (const line of lines) {
        assert.match(String(line['msg']), /: expected .*; the settings stay as they are$/);
      }

      writeFileSync(path, 'waitMs: 3');
      await reload();
      assert.deepEqual(
        applied.map(({ waitMillis }) => waitMillis),
        [3],
      );
    });
  });

  it('goes back to what holds without a file’s word', async () => {
    await withRunning('waitMs: 1', async ({ path, reload, applied }) => {
      writeFileSync(path, '');
      await reload();
      assert.equal(applied[0]?.waitMillis, 1_000);
    });
  });

  it('happens one after the other, and ends with what the file says last', async () => {
    await withRunning('waitMs: 1', async ({ path, reload, applied }) => {
      const all = [];
      for (let wait = 2; wait < 20; wait += 1) {
        writeFileSync(path, `waitMs: ${wait}`);
        all.push(reload());
      }
      await Promise.all(all);
      assert.equal(applied.at(-1)?.waitMillis, 19);
    });
  });

  it('that was asked for while the program started is done once it has', () => {
    const requests = new ReloadRequests();
    let count = 0;
    const reload = () => {
      count += 1;
      return Promise.resolve();
    };
    requests.request();
    requests.request();
    requests.serveWith(reload);
    assert.equal(count, 1);
    requests.request();
    assert.equal(count, 2);
  });
});
