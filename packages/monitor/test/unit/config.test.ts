import assert from 'node:assert/strict';
import { readSettings, SettingsError, type SettingProblem } from '@msi-proxy/shared';
import { MONITOR_CONFIGURATION, MONITOR_SETTINGS } from '../../src/config.ts';

function problemsOf(environment: Record<string, string>): readonly SettingProblem[] {
  try {
    readSettings(MONITOR_SETTINGS, environment);
  } catch (error) {
    assert.ok(error instanceof SettingsError);
    return error.problems;
  }
  return [];
}

describe('the settings of the monitor', () => {
  it('have defaults that serve a plain VM', () => {
    const settings = readSettings(MONITOR_SETTINGS, {});
    assert.deepEqual(settings, {
      dockerHost: 'unix:///var/run/docker.sock',
      wiring: 'auto',
      guard: 'enforce',
      listen: { host: '127.0.0.1', port: 9180 },
      resyncSeconds: 60,
      standInPort: 9181,
      proxyNetwork: undefined,
      proxySubnet: undefined,
      containerOs: 'auto',
      unlabelledSharers: 'refuse',
      logLevel: 'info',
    });
  });

  it('carry one prefix, DOCKER_HOST aside', () => {
    const names = Object.values(MONITOR_SETTINGS).map(({ env }) => env);
    assert.deepEqual(
      names.filter(name => !name.startsWith(MONITOR_CONFIGURATION.prefix)),
      ['DOCKER_HOST'],
    );
  });

  it('take the name of a wiring method in any case', () => {
    assert.equal(readSettings(MONITOR_SETTINGS, { MSI_MONITOR_WIRING: 'NAT' }).wiring, 'nat');
  });

  it('names every value that cannot be used, at once', () => {
    const environment = {
      DOCKER_HOST: 'ssh://host',
      MSI_MONITOR_GUARD: 'yes',
      MSI_MONITOR_LISTEN: '9180',
      MSI_MONITOR_RESYNC_SECONDS: '0',
      MSI_MONITOR_PROXY_NETWORK: '-rm',
      MSI_MONITOR_PROXY_SUBNET: '172.31.250.0/33',
      MSI_MONITOR_CONTAINER_OS: 'dos',
      MSI_MONITOR_UNLABELLED_SHARERS: 'maybe',
      MSI_MONITOR_LOG_LEVEL: 'loud',
    };
    const named = problemsOf(environment).map(({ env }) => env);
    assert.deepEqual(named.toSorted(), Object.keys(environment).toSorted());
  });

  it('takes a subnet in CIDR notation only', () => {
    for (const wrong of ['172.31.250.0', '172.31.250.0/', '172.31.250.0/24/1', 'fd00::/64', '300.1.1.0/24']) {
      assert.equal(problemsOf({ MSI_MONITOR_PROXY_SUBNET: wrong }).length, 1, wrong);
    }
    const { proxySubnet } = readSettings(MONITOR_SETTINGS, { MSI_MONITOR_PROXY_SUBNET: '172.31.250.0/24' });
    assert.equal(proxySubnet, '172.31.250.0/24');
  });
});
