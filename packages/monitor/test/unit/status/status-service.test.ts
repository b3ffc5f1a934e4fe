import assert from 'node:assert/strict';
import { codeOf, MsiProxyError, silentLogger, type HostPort } from '@msi-proxy/shared';
import { FakeClock, until } from '@msi-proxy/shared/testing';
import { fetchStatus, type StatusServer } from '../../../src/status/index.ts';
import { StatusService, type StatusServiceOptions } from '../../../src/status/status-service.ts';
import { someStatus, statusServerOf } from './support.ts';

describe('the service of the status', () => {
  let clock: FakeClock;
  let warned: { readonly message: string; readonly err: unknown }[];
  let holder: StatusServer;
  let taken: HostPort;

  beforeEach(async () => {
    clock = new FakeClock();
    warned = [];
    holder = serverAt({ host: '127.0.0.1', port: 0 });
    taken = await holder.start();
  });
  afterEach(async () => {
    await holder.stop();
    assert.equal(clock.pendingTimers, 0, 'a timer was left behind');
  });

  function serverAt(listen: HostPort): StatusServer {
    return statusServerOf({ listen, status: () => someStatus({ version: `at ${listen.port}` }) });
  }

  function serviceOf(
    server: Pick<StatusServer, 'start' | 'stop'>,
    { refuseSecond = () => Promise.resolve() }: Partial<StatusServiceOptions> = {},
  ): StatusService {
    const logger = {
      ...silentLogger,
      warn: (message: string, fields?: { readonly err?: unknown }) =>
        warned.push({ message, err: fields?.err }),
    };
    return new StatusService({ server, clock, logger, random: () => 0.5, refuseSecond });
  }

  it('says once that the address cannot be had, and serves when it can', async () => {
    let attempts = 0;
    let isServed = false;
    const server = serverAt(taken);
    const service = serviceOf({
      start: async () => {
        attempts += 1;
        const where = await server.start();
        isServed = true;
        return where;
      },
      stop: () => server.stop(),
    });
    service.start();
    await until(() => clock.pendingTimers === 1);
    while (attempts < 4) await clock.advance(10_000);
    await until(() => clock.pendingTimers === 1);
    assert.deepEqual(
      warned.map(({ message, err }) => [message, codeOf(err)]),
      [['The status is not served; it is tried again', 'MSI_LISTEN_FAILED']],
    );
    await holder.stop();
    const before = attempts;
    await clock.advance(10_000);
    assert.equal(attempts, before + 1);
    await until(() => isServed);
    assert.equal((await fetchStatus(taken)).version, `at ${taken.port}`);
    await service.stop();
  });

  it('tries at most every ten seconds, and less and less often until then', async () => {
    const attempts: number[] = [];
    const service = serviceOf({
      start: () => {
        attempts.push(clock.monotonicMillis());
        return Promise.reject(new Error('no such address'));
      },
      stop: () => Promise.resolve(),
    });
    service.start();
    await clock.advance(60_000);
    const pauses = attempts.slice(1).map((atMillis, index) => atMillis - attempts[index]!);
    assert.ok(pauses[0]! < 1_000, `${pauses[0]} ms`);
    assert.ok(
      pauses.every((pause, index) => pause >= (pauses[index - 1] ?? 0) && pause <= 10_000),
      pauses.join(),
    );
    await service.stop();
  });

  it('tries no more once it is stopped', async () => {
    const service = serviceOf(serverAt(taken));
    service.start();
    await until(() => clock.pendingTimers === 1);
    await service.stop();
  });

  it('does not serve when it was stopped while the address was looked up', async () => {
    const lookup = Promise.withResolvers<HostPort>();
    let isServed = false;
    const service = serviceOf({
      start: async () => {
        const where = await lookup.promise;
        isServed = true;
        return where;
      },
      stop: () => {
        isServed = false;
        return Promise.resolve();
      },
    });
    service.start();
    await service.stop();
    lookup.resolve(taken);
    await clock.advance(1);
    assert.equal(isServed, false);
  });

  it('gives up when what has the address is another monitor of the VM', async () => {
    const second = new MsiProxyError('MSI_SECOND_MONITOR', 'another one');
    const service = serviceOf(serverAt(taken), { refuseSecond: () => Promise.reject(second) });
    service.start();
    await assert.rejects(service.refused, second);
    await service.stop();
  });

  it('asks again who has the address at each try, since a monitor that starts answers late', async () => {
    let asked = 0;
    const refuseSecond = () => {
      asked += 1;
      return asked < 3 ? Promise.resolve() : Promise.reject(new Error('another one'));
    };
    const service = serviceOf(serverAt(taken), { refuseSecond });
    service.start();
    await until(() => clock.pendingTimers === 1);
    while (asked < 3) await clock.advance(10_000);
    await assert.rejects(service.refused, /another one/);
    await service.stop();
  });

  it('asks nobody when the address is not there yet, or not allowed', async () => {
    const server = {
      start: () => Promise.reject(new MsiProxyError('MSI_LISTEN_FAILED', 'no such address')),
      stop: () => Promise.resolve(),
    };
    const service = serviceOf(server, { refuseSecond: () => assert.fail('asked') });
    service.start();
    await until(() => clock.pendingTimers === 1);
    await service.stop();
  });
});
