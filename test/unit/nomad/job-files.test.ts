import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from '@cdktn/hcl2json';
import { CLIENT_LABEL, parseClientPolicy, PROXY_LABEL } from '@msi-proxy/shared';
import { productVersion, repositoryRoot } from '../../../scripts/lib/repository.ts';
import { readJob } from '../../nomad/job-files.ts';

interface PluginConfig {
  readonly allow_caps: readonly string[];
  readonly volumes: readonly [{ readonly enabled: boolean }];
  readonly gc?: readonly [{ readonly image: boolean }];
}

/** What docs/nomad.md has for the configuration of the nodes. */
async function shownPluginConfig(): Promise<PluginConfig> {
  const page = readFileSync(join(repositoryRoot, 'docs/nomad.md'), 'utf8');
  const shown = /^```hcl\n(plugin "docker"[^]*?)^```$/m.exec(page)![1]!;
  const { plugin } = (await parse('client.hcl', shown)) as {
    plugin: { docker: [{ config: [PluginConfig] }] };
  };
  return plugin.docker[0].config[0];
}

describe('deploy/nomad', function () {
  this.timeout(20_000); // the parser is WebAssembly

  it('runs one proxy and one monitor on each node', async () => {
    const { type, tasks } = await readJob('msi-proxy');
    assert.equal(type, 'system');
    assert.deepEqual(
      tasks.map(({ name }) => name),
      ['msi-monitor', 'msi-proxy'],
    );
    const [monitor, proxy] = tasks;
    assert.equal(monitor!.config.network_mode, 'host');
    assert.ok(PROXY_LABEL in proxy!.config.labels!);
  });

  // Of the tag latest it never takes what is there (hashicorp/nomad, drivers/docker/driver.go, createImage).
  it('does not make Nomad look on a public registry for images that are on the node', async () => {
    const jobs = await Promise.all([readJob('msi-proxy'), readJob('orders')]);
    for (const { config } of jobs.flatMap(({ tasks }) => tasks))
      assert.equal(config.image.split(':')[1], productVersion());
    assert.deepEqual((await shownPluginConfig()).gc, [{ image: false }]);
  });

  it('can have the proxy replaced before the monitor', async () => {
    const { tasks } = await readJob('msi-proxy', { proxy_tag: 'next' });
    assert.deepEqual(
      tasks.map(({ config }) => config.image),
      [`msi-proxy/monitor:${productVersion()}`, 'msi-proxy/proxy:next'],
    );
  });

  // What a job leaves out is two restarts in 30 minutes (nomad, api/tasks.go), and then a wait for the next 30.
  it('starts a program again within seconds, however often it ends', async () => {
    const { restarts } = await readJob('msi-proxy');
    assert.equal(restarts.length, 2);
    for (const restart of restarts)
      assert.deepEqual(restart, { attempts: 10, interval: '30s', delay: '2s', mode: 'delay' });
  });

  it('gives the example of a client a policy that holds', async () => {
    const { tasks } = await readJob('orders');
    const labels = tasks[0]!.config.labels!;
    assert.ok(CLIENT_LABEL in labels);
    assert.ok(parseClientPolicy(labels).ok);
  });

  it('tells in docs/nomad.md all that the nodes have to allow', async () => {
    const { allow_caps: allowed, volumes } = await shownPluginConfig();
    const { tasks } = await readJob('msi-proxy');
    const wanted = tasks.flatMap(({ config }) => config.cap_add ?? []);
    assert.deepEqual(
      wanted.filter(capability => !allowed.includes(capability)),
      [],
    );
    assert.equal(volumes[0].enabled, true);
  });
});
