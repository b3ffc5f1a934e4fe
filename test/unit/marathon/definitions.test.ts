import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { CLIENT_LABEL, parseClientPolicy, PROXY_LABEL } from '@msi-proxy/shared';
import { DEFINITION_NAMES, readApp, type MarathonApp } from '../../marathon/definitions.ts';

const schema = JSON.parse(
  readFileSync(new URL('../../marathon/app.schema.json', import.meta.url), 'utf8'),
) as object;
const validate = new Ajv2020({
  allErrors: true,
  strictSchema: true,
  strictTypes: false,
  strictTuples: false,
}).compile(schema);

/** Path and kind of each fault that the schema finds. */
function faultsOf(app: unknown): string[] {
  validate(app);
  return (validate.errors ?? []).map(({ instancePath, keyword }) => `${instancePath} ${keyword}`);
}

/** Labels that the containers get. The app's own `labels` are Marathon's business, Docker never sees them. */
function dockerLabels({ container }: MarathonApp): Record<string, string> {
  const labels = (container.docker.parameters ?? []).filter(({ key }) => key === 'label');
  return Object.fromEntries(
    labels.map(({ value }) => {
      const [, name = value, text = ''] = /^([^=]*)=(.*)$/s.exec(value) ?? [];
      return [name, text];
    }),
  );
}

describe('the app definitions for Marathon', () => {
  it('are there for proxy, monitor and a client, on agents with Linux and with Windows', () => {
    assert.deepEqual(
      DEFINITION_NAMES,
      ['client', 'monitor', 'proxy'].flatMap(role => [`${role}-linux`, `${role}-windows`]),
    );
  });

  it('have ids that differ', () => {
    const ids = DEFINITION_NAMES.map(name => readApp(name).id);
    assert.equal(new Set(ids).size, ids.length);
  });

  for (const name of DEFINITION_NAMES) {
    it(`fit Marathon's types: ${name}`, () => {
      assert.deepEqual(faultsOf(readApp(name)), []);
    });

    it(`say which agents they are for: ${name}`, () => {
      const operator = name.endsWith('windows') ? 'LIKE' : 'UNLIKE';
      assert.deepEqual(
        readApp(name).constraints?.filter(([field]) => field === 'os'),
        [['os', operator, '(?i)windows']],
      );
    });
  }

  for (const os of ['linux', 'windows']) {
    it(`label proxies for Docker, not for Marathon (${os})`, () => {
      const app = readApp(`proxy-${os}`);
      assert.deepEqual(dockerLabels(app), { [PROXY_LABEL]: '' });
      assert.equal(app.labels, undefined);
    });

    it(`give the example client a policy that the product accepts (${os})`, () => {
      const labels = dockerLabels(readApp(`client-${os}`));
      assert.ok(CLIENT_LABEL in labels);
      const result = parseClientPolicy(labels);
      assert.ok(result.ok, JSON.stringify(result));
      assert.ok(result.policy.defaultIdentity !== undefined, 'it names its identity');
    });

    for (const role of ['proxy', 'monitor']) {
      it(`bound the log of the ${role}, which Docker keeps without an end (${os})`, () => {
        const { parameters = [] } = readApp(`${role}-${os}`).container.docker;
        assert.deepEqual(
          parameters.filter(({ key }) => key === 'log-opt').map(({ value }) => value),
          ['max-size=10m', 'max-file=5'],
        );
      });

      it(`give the ${role} the memory that it was seen to need (${os})`, () => {
        const highestSeenMebibytes = { proxy: 130, monitor: 151 }[role as 'proxy' | 'monitor'];
        assert.ok(readApp(`${role}-${os}`).mem >= 1.5 * highestSeenMebibytes);
      });

      it(`run one ${role} on each agent (${os})`, () => {
        const constraints = readApp(`${role}-${os}`).constraints;
        assert.deepEqual(constraints?.[0], ['hostname', 'UNIQUE']);
      });

      it(`can be upgraded on agents that each have a ${role} already (${os})`, () => {
        for (let agents = 1; agents <= 10; agents += 1) {
          assert.ok(
            placesFreedAtOnce(readApp(`${role}-${os}`), agents) > 0,
            `with ${agents} agents the new instance has no place while all old ones stay`,
          );
        }
      });
    }

    it(`ask for no host networking where Mesos refuses it, and for no ports (${os})`, () => {
      for (const role of ['client', 'proxy', 'monitor']) {
        const { networks, container } = readApp(`${role}-${os}`);
        const mode = role === 'monitor' && os === 'linux' ? 'host' : 'container/bridge';
        assert.deepEqual(networks, [{ mode }]);
        // Left out, Marathon would publish a port of its own choice.
        if (mode !== 'host') assert.deepEqual(container.portMappings, []);
      }
    });
  }

  it('ask Windows for nothing that its containers do not have', () => {
    for (const name of DEFINITION_NAMES.filter(each => each.endsWith('windows'))) {
      const { docker } = readApp(name).container;
      assert.equal(docker.privileged, undefined);
      assert.deepEqual(
        (docker.parameters ?? []).filter(({ key }) => key !== 'label' && key !== 'log-opt'),
        [],
      );
    }
  });
});

describe("the schema of Marathon's app definitions", () => {
  const app = readApp('proxy-linux');
  const { docker } = app.container;
  const faulty: readonly [what: string, app: object, fault: string][] = [
    ['an unknown property', { ...app, instance: 1 }, ' additionalProperties'],
    ['an id in capitals', { ...app, id: '/MSI/proxy' }, '/id pattern'],
    ['a number as text', { ...app, mem: '128' }, '/mem type'],
    ['part of an instance', { ...app, instances: 1.5 }, '/instances type'],
    ['a constraint as text', { ...app, constraints: ['hostname:UNIQUE'] }, '/constraints/0 type'],
    ['an unknown operator', { ...app, constraints: [['hostname', 'ONCE']] }, '/constraints/0/1 enum'],
    [
      'UNIQUE with a value',
      { ...app, constraints: [['hostname', 'UNIQUE', '1']] },
      '/constraints/0 maxItems',
    ],
    ['LIKE without a value', { ...app, constraints: [['os', 'LIKE']] }, '/constraints/0 minItems'],
    ['an unknown network mode', { ...app, networks: [{ mode: 'bridge' }] }, '/networks/0/mode enum'],
    [
      'a named bridge',
      { ...app, networks: [{ mode: 'container/bridge', name: 'n' }] },
      '/networks/0/name false schema',
    ],
    [
      'a container network without a name',
      { ...app, networks: [{ mode: 'container' }] },
      '/networks/0 required',
    ],
    [
      'a parameter without a value',
      withDocker({ ...docker, parameters: [{ key: 'label' }] }),
      '/container/docker/parameters/0 required',
    ],
    [
      'parameters as an object',
      withDocker({ ...docker, parameters: { label: 'MSIProxyContainer' } }),
      '/container/docker/parameters type',
    ],
    [
      'the old place of the network',
      withDocker({ ...docker, network: 'BRIDGE' }),
      '/container/docker additionalProperties',
    ],
    [
      'a volume without a mode',
      { ...app, container: { ...app.container, volumes: [{ containerPath: '/a', hostPath: '/b' }] } },
      '/container/volumes/0 required',
    ],
    ['cmd beside args', { ...app, cmd: 'sleep 1', args: ['sleep'] }, ' not'],
    [
      'a check without its command',
      { ...app, healthChecks: [{ protocol: 'COMMAND' }] },
      '/healthChecks/0 required',
    ],
    [
      'a capacity above 1',
      { ...app, upgradeStrategy: { minimumHealthCapacity: 2, maximumOverCapacity: 0 } },
      '/upgradeStrategy/minimumHealthCapacity maximum',
    ],
  ];

  for (const [what, definition, fault] of faulty) {
    it(`refuses ${what}`, () => {
      const faults = faultsOf(definition);
      assert.ok(faults.includes(fault), `${fault} is not among: ${faults.join(' | ')}`);
    });
  }

  function withDocker(changed: object): object {
    return { ...app, container: { ...app.container, docker: changed } };
  }
});

/**
 * How many of the running instances Marathon ends before it starts a new one. With 0 on agents that take one each, the
 * upgrade waits forever. Source: `TaskReplaceActor.computeRestartStrategy` of mesosphere/marathon.
 */
function placesFreedAtOnce({ upgradeStrategy }: MarathonApp, instances: number): number {
  const { minimumHealthCapacity } = upgradeStrategy ?? { minimumHealthCapacity: 1 };
  return instances - Math.ceil(instances * minimumHealthCapacity);
}
