import assert from 'node:assert/strict';
import { loadSettings, unseenFlags } from '@msi-proxy/shared';
import { CONFIGURATION, SETTINGS } from './support.ts';

describe('flags that the other commands of a program do not see', () => {
  async function warnings(flags: Record<string, string>, environment: Record<string, string> = {}) {
    const places = { flags, environment: { APP_CONFIG: '', ...environment }, platform: 'linux' };
    const loaded = await loadSettings(CONFIGURATION, places, SETTINGS);
    return unseenFlags(loaded, { settings: SETTINGS, names: ['listen', 'engine'], commands: 'ask' });
  }

  it('are named, with what would be seen', async () => {
    assert.deepEqual(await warnings({ listen: '127.0.0.1:81', 'engine-host': 'there', strict: 'true' }), [
      '--listen is not seen by the other commands, such as ask: use APP_LISTEN or the file',
      '--engine-host is not seen by the other commands, such as ask: use ENGINE_HOST or the file',
    ]);
  });

  it('are not those that are given by variable', async () => {
    assert.deepEqual(await warnings({ strict: 'true' }, { APP_LISTEN: '127.0.0.1:81' }), []);
  });
});
