import assert from 'node:assert/strict';
import {
  createEmulator,
  DEFAULT_APP_IDENTITY,
  TOKEN_MARKERS,
  type Emulator,
  type FaultRule,
} from '@msi-proxy/imds-emulator';
import type { Caller } from '@msi-proxy/shared';
import { callerAt, grantOf } from '../support/callers.ts';
import { ask, type RawAnswer } from '../support/raw-client.ts';
import { startProxy, type ProxyUnderTest } from '../support/running-proxy.ts';
import { until } from '../support/until.ts';

const TOKEN = '/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fvault.azure.net';
const INSTANCE = '/metadata/instance?api-version=2021-02-01';

/** Container n at its address. */
function client(number: number, overrides: Partial<Caller> = {}): Caller {
  return callerAt(`127.0.1.${number}`, {
    containerId: String(number).padStart(64, '0'),
    name: `client-${number}`,
    ...overrides,
  });
}

describe('the server in front of the emulator with Azure’s rate limits', () => {
  let emulator: Emulator;
  let running: ProxyUnderTest;

  async function start(environment: Record<string, string> = {}): Promise<void> {
    emulator = createEmulator({ rateLimits: true });
    const { listen } = await emulator.start({ listen: { host: '127.0.0.1', port: 0 } });
    running = await startProxy({
      imdsPort: listen.port,
      environment: { MSI_PROXY_MAX_CONNECTIONS: '5000', ...environment },
    });
  }

  function get(target: string, from: Caller): Promise<RawAnswer> {
    return ask(target, { port: running.port, from: from.address });
  }

  function statuses(answers: readonly RawAnswer[]): number[] {
    return [...new Set(answers.map(({ status }) => status))];
  }

  function audited(): Record<string, unknown>[] {
    return running.log.filter(line => line['msg'] === 'request');
  }

  afterEach(async () => {
    assert.ok(emulator.stats.openConnections <= 5, 'more than five connections to IMDS');
    await running.stop();
    await emulator.stop();
    const log = JSON.stringify(running.log);
    for (const marker of TOKEN_MARKERS) assert.ok(!log.includes(marker), 'token bytes in the log');
  });

  it('makes one call for a thousand first requests of fifty containers', async () => {
    await start();
    const clients = Array.from({ length: 50 }, (_, index) => client(index + 1));
    await running.join(...clients);
    const answers = await Promise.all(
      Array.from({ length: 1_000 }, (_, index) => get(TOKEN, clients[index % 50]!)),
    );
    console.log(`      1000 requests of 50 containers: ${emulator.requests.length} call to IMDS`);
    assert.deepEqual(statuses(answers), [200]);
    assert.equal(new Set(answers.map(({ body }) => (JSON.parse(body) as TokenBody).access_token)).size, 1);
    assert.equal(emulator.requests.length, 1);
  }).timeout(20_000);

  it('shares calls for the same metadata too, and gives user data only to those who may have it', async () => {
    await start();
    const all = grantOf({ endpoints: ['instance', 'userdata'] });
    const clients = Array.from({ length: 40 }, (_, index) =>
      client(index + 1, index % 2 ? { grant: all } : {}),
    );
    await running.join(...clients);
    emulator.setFaults([{ fault: 'delay', delayMillis: 200 }]);
    const answers = await Promise.all(clients.map(caller => get(INSTANCE, caller)));
    assert.deepEqual(statuses(answers), [200]);
    answers.forEach(({ body }, index) => {
      assert.equal(body.includes('userData'), index % 2 === 1, `client ${index + 1}`);
    });
    assert.ok(emulator.requests.length <= 2, `${emulator.requests.length} calls`);
  });

  it('is never throttled by IMDS, whatever the containers ask', async () => {
    await start();
    const clients = Array.from({ length: 10 }, (_, index) => client(index + 1));
    await running.join(...clients);
    const answers = await Promise.all(
      Array.from({ length: 60 }, (_, index) => get(`${TOKEN}%2F${index}`, clients[index % 10]!)),
    );
    assert.deepEqual(statuses(answers), [200]);
    assert.equal(emulator.requests.length, 60);
    assert.ok(emulator.requests.every(({ status }) => status === 200));
  }).timeout(20_000);

  it('does not let a greedy container keep another from its token', async () => {
    await start({ MSI_PROXY_UPSTREAM_TIMEOUT_MS: '3000' });
    const [greedy, modest] = [client(1), client(2)];
    await running.join(greedy, modest);
    const many = Promise.all(Array.from({ length: 200 }, (_, index) => get(`${TOKEN}%2F${index}`, greedy)));
    await until(() => emulator.requests.length >= 20);
    const before = emulator.requests.length;
    assert.equal((await get(TOKEN, modest)).status, 200);
    const waited = emulator.requests.length - before;
    console.log(`      with 200 requests of a greedy container waiting, ${waited - 1} of them went before`);
    // In the order of arrival it would be after all of them, ten seconds later.
    assert.ok(waited <= 20, `${waited} calls went before`);
    const answers = await many;
    const throttled = answers.filter(({ status }) => status === 429);
    assert.deepEqual(statuses(answers).sort(), [200, 429]);
    for (const { body, headers } of throttled) {
      assert.equal(headers['retry-after'], undefined);
      assert.deepEqual(JSON.parse(body), {
        error: 'invalid_request',
        error_description: 'Temporarily throttled, too many requests',
      });
    }
    assert.ok(
      emulator.requests.every(({ status }) => status === 200),
      'IMDS itself throttled',
    );
  }).timeout(20_000);

  it('counts the calls of containers, not of monitors or checks', async () => {
    await start();
    await running.join(client(1));
    const answer = await get(TOKEN, client(1));
    assert.equal(answer.status, 200);
    await get(TOKEN, client(1));
    await until(() => audited().length === 2);
    assert.deepEqual(
      audited().map(line => line['via']),
      ['upstream', 'cache'],
    );
  });

  describe('when IMDS answers badly at first', () => {
    const faults: [name: string, rule: FaultRule][] = [
      ['cuts the body in the middle', { fault: 'truncate' }],
      ['resets the connection in the middle', { fault: 'reset', afterBytes: 150 }],
      ['shows the page of its front door', { fault: 'front-door-page' }],
      ['answers with no JSON', { fault: 'status', status: 200, body: 'token' }],
      ['is throttled', { fault: 'status', status: 429 }],
      ['is being updated', { fault: 'status', status: 410 }],
      ['is being updated in another way', { fault: 'status', status: 404 }],
      ['fails', { fault: 'status', status: 500 }],
      ['drips', { fault: 'drip', bytesPerWrite: 100, intervalMillis: 20 }],
    ];
    for (const [name, rule] of faults) {
      it(`gives the token all the same: it ${name}`, async () => {
        await start();
        await running.join(client(1));
        emulator.setFaults([{ ...rule, times: 1 }]);
        const answer = await get(TOKEN, client(1));
        assert.equal(answer.status, 200, answer.body);
        assert.ok((JSON.parse(answer.body) as TokenBody).access_token.includes('.'));
      });
    }

    it('and for ever: SDKs get an answer that they can read, and can try again', async () => {
      await start({ MSI_PROXY_UPSTREAM_TIMEOUT_MS: '300' });
      await running.join(client(1));
      for (const [name, rule] of faults.slice(0, 8)) {
        emulator.setFaults([rule]);
        const answer = await get(TOKEN, client(1));
        assert.ok([404, 410, 429, 500, 503].includes(answer.status), `${name}: ${answer.status}`);
        assert.ok(Object.hasOwn(JSON.parse(answer.body) as object, 'error_description'), name);
      }
    });
  });

  describe('with tokens ahead', () => {
    const identity = { kind: 'client-id', id: DEFAULT_APP_IDENTITY.clientId } as const;
    const grant = grantOf({
      defaultIdentity: identity,
      identities: [identity],
      resources: [
        { kind: 'exact', resource: 'https://vault.azure.net' },
        { kind: 'prefix', prefix: 'https://storage' },
      ],
    });

    it('has the token when the client asks, if its labels say which', async () => {
      await start();
      const monitor = await running.join();
      monitor.send({ type: 'role', role: 'serving' });
      await monitor.delta([], [client(1, { grant }), client(2, { grant }), client(3)]);
      await until(() => emulator.requests.length === 1);
      assert.equal((await get(TOKEN, client(2))).status, 200);
      await until(() => audited().length === 1);
      assert.match(String(audited()[0]?.['via']), /cache|shared/);
      assert.equal(emulator.requests.length, 1);
    });

    it('asks for none while another proxy serves, and for all when it is its turn', async () => {
      await start();
      const monitor = await running.join(client(1, { grant }));
      monitor.send({ type: 'role', role: 'standby' });
      await monitor.delta([], [client(2, { grant })]);
      assert.equal(emulator.requests.length, 0);
      monitor.send({ type: 'role', role: 'serving' });
      await until(() => emulator.requests.length === 1);
    });

    it('asks for none when that is off', async () => {
      await start({ MSI_PROXY_PREFETCH: 'off' });
      const monitor = await running.join();
      monitor.send({ type: 'role', role: 'serving' });
      await monitor.delta([], [client(1, { grant })]);
      assert.equal((await get(TOKEN, client(1))).status, 200);
      await until(() => audited().length === 1);
      assert.equal(audited()[0]?.['via'], 'upstream');
    });
  });

  describe('with policies that are only recorded', () => {
    it('lets a client have what it was not given, and says so', async () => {
      await start({ MSI_PROXY_POLICY: 'audit' });
      const grant = grantOf({
        identities: [{ kind: 'client-id', id: '00000000-0000-0000-0000-000000000001' }],
        resources: [{ kind: 'exact', resource: 'https://storage.azure.com' }],
        endpoints: ['token', 'instance'],
      });
      await running.join(client(1, { grant }));
      const targets = [
        `${TOKEN}&client_id=${DEFAULT_APP_IDENTITY.clientId}`,
        TOKEN,
        INSTANCE,
        '/metadata/attested/document?api-version=2020-09-01',
      ];
      for (const target of targets) assert.equal((await get(target, client(1))).status, 200, target);
      assert.match((await get(INSTANCE, client(1))).body, /userData/);
      await until(() => audited().length >= 4);
      assert.deepEqual(
        audited().map(line => [line['verdict'], line['reason']]),
        [
          ['would-deny', 'identity-not-granted'],
          ['would-deny', 'identity-required'],
          ['would-deny', 'endpoint-not-granted'],
          ['would-deny', 'endpoint-not-granted'],
        ],
      );
      assert.ok(
        running.log.some(({ level, msg }) => level === 'warn' && String(msg).includes('not enforced')),
      );
    });

    it('still refuses containers that are no clients', async () => {
      await start({ MSI_PROXY_POLICY: 'audit' });
      await running.join(
        client(1, { grant: { kind: 'unlabelled' } }),
        client(2, { grant: { kind: 'refused', reason: 'a label is wrong' } }),
      );
      assert.equal((await get(TOKEN, client(1))).status, 400);
      assert.equal((await get(TOKEN, client(2))).status, 403);
      assert.equal(emulator.requests.length, 0);
    });
  });

  it('gives no token of a user-assigned identity to a client of the system-assigned one', async () => {
    await start();
    const { vm } = emulator;
    emulator.setVm({
      ...vm,
      systemAssignedIdentity: null,
      userAssignedIdentities: vm.userAssignedIdentities.slice(0, 1),
    });
    const grant = grantOf({ defaultIdentity: { kind: 'system' }, identities: [{ kind: 'system' }] });
    await running.join(client(1), client(2, { grant }));
    assert.equal((await get(TOKEN, client(1))).status, 200);
    const answer = await get(TOKEN, client(2));
    assert.equal(answer.status, 400);
    assert.match(answer.body, /Identity not found/);
    await until(() => audited().some(({ reason }) => reason === 'other-identity'));
  });
});

interface TokenBody {
  readonly access_token: string;
}
