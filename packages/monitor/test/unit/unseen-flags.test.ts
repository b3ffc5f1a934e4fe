import assert from 'node:assert/strict';
import { loadSettings } from '@msi-proxy/shared';
import { MONITOR_CONFIGURATION, MONITOR_SETTINGS } from '../../src/config.ts';
import { unseenFlags } from '../../src/unseen-flags.ts';

describe('flags that other commands of the monitor do not see', () => {
  async function warnings(flags: Record<string, string>, environment: Record<string, string> = {}) {
    return unseenFlags(
      await loadSettings(
        MONITOR_CONFIGURATION,
        { flags, environment: { MSI_MONITOR_CONFIG: '', ...environment }, platform: 'linux' },
        MONITOR_SETTINGS,
      ),
    );
  }

  it('are named, with what would be seen', async () => {
    assert.deepEqual(
      await warnings({ listen: '127.0.0.1:9280', 'docker-host': 'unix:///x.sock', guard: 'audit' }),
      [
        '--listen is not seen by the other commands, such as status and doctor: use MSI_MONITOR_LISTEN or the file',
        '--docker-host is not seen by the other commands, such as status and doctor: use DOCKER_HOST or the file',
      ],
    );
  });

  it('are not those that are given by variable', async () => {
    assert.deepEqual(await warnings({ wiring: 'host' }, { MSI_MONITOR_LISTEN: '127.0.0.1:9280' }), []);
  });
});
