import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { CLIENT_LABEL, parseClientPolicy, PROXY_LABEL, readSettings } from '@msi-proxy/shared';
import { PROXY_SETTINGS } from '../../../packages/proxy/src/config.ts';
import { repositoryRoot } from '../../../scripts/lib/repository.ts';

interface Service {
  readonly labels?: Readonly<Record<string, string>>;
  readonly network_mode?: string;
  readonly networks?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly cap_drop?: readonly string[];
  readonly cap_add?: readonly string[];
  readonly logging?: { readonly options: Readonly<Record<string, string>> };
}

function servicesOf(file: string): Readonly<Record<string, Service>> {
  const text = readFileSync(join(repositoryRoot, 'deploy/compose', file), 'utf8');
  return (parse(text, { merge: true }) as { services: Record<string, Service> }).services;
}

// Compose itself checks the files by its schema when the end-to-end tests bring them up.
describe('deploy/compose', () => {
  const services = servicesOf('compose.yaml');

  it('labels the proxy, and a client with a policy that holds', () => {
    assert.ok(PROXY_LABEL in services['msi-proxy']!.labels!);
    const labels = services['orders']!.labels!;
    assert.ok(CLIENT_LABEL in labels);
    assert.ok(parseClientPolicy(labels).ok);
  });

  it('puts the monitor on the network of the VM, and the proxy on its own', () => {
    assert.equal(services['msi-monitor']!.network_mode, 'host');
    assert.deepEqual(services['msi-proxy']!.networks, ['msi-proxy-net']);
  });

  it('leaves proxy and monitor the rights that docs/security.md names, and no other', () => {
    for (const name of ['msi-proxy', 'msi-monitor']) assert.deepEqual(services[name]!.cap_drop, ['ALL']);
    assert.deepEqual(services['msi-proxy']!.cap_add, ['NET_ADMIN', 'SETUID', 'SETGID']);
    assert.deepEqual(services['msi-monitor']!.cap_add, ['NET_ADMIN']);
  });

  it('bounds the logs of proxy and monitor, which Docker keeps without an end', () => {
    for (const name of ['msi-proxy', 'msi-monitor'])
      assert.deepEqual(services[name]!.logging?.options, { 'max-size': '10m', 'max-file': '5' });
  });

  it('asks the emulator on a laptop, and only there', () => {
    assert.equal(services['msi-proxy']!.environment, undefined);
    const settings = readSettings(PROXY_SETTINGS, servicesOf('laptop.yaml')['msi-proxy']!.environment!);
    assert.deepEqual([settings.imdsAddress, settings.route], [{ host: 'imds', port: 8169 }, 'off']);
  });
});
