import assert from 'node:assert/strict';
import { messageOf, silentLogger, type CommandResult } from '@msi-proxy/shared';
import { FakeClock } from '@msi-proxy/shared/testing';
import { ServiceManager } from '../../src/service-manager.ts';

const SYSTEMD = { NOTIFY_SOCKET: '/run/systemd/notify', WATCHDOG_USEC: '60000000' };

describe('the monitor as a service of systemd', () => {
  const clock = new FakeClock();
  const done: CommandResult = { exitCode: 0, stdout: '', stderr: '' };

  function startedWith(environment: Record<string, string>, result: CommandResult | Error = done) {
    const told: string[] = [];
    const warnings: unknown[][] = [];
    const manager = new ServiceManager({
      environment,
      clock,
      logger: {
        ...silentLogger,
        warn: (message, fields) => warnings.push([message, messageOf(fields?.err)]),
      },
      runner: {
        run: (file, argv) => {
          told.push([file, ...argv].join(' '));
          return result instanceof Error ? Promise.reject(result) : Promise.resolve(result);
        },
      },
    });
    return { manager, told, warnings };
  }

  it('says once that it is ready, then that it lives, twice in the time that it has', async () => {
    const { manager, told } = startedWith(SYSTEMD);
    await manager.ready();
    assert.deepEqual(told, ['systemd-notify READY=1']);
    await clock.advance(60_000);
    assert.deepEqual(told.slice(1), ['systemd-notify WATCHDOG=1', 'systemd-notify WATCHDOG=1']);
    await manager.stopping();
  });

  it('says that it stops, and nothing after that', async () => {
    const { manager, told } = startedWith(SYSTEMD);
    await manager.ready();
    await manager.stopping();
    await clock.advance(120_000);
    assert.deepEqual(told, ['systemd-notify READY=1', 'systemd-notify STOPPING=1']);
    assert.equal(clock.pendingTimers, 0);
  });

  it('has no watchdog where the unit has none', async () => {
    const { manager } = startedWith({ NOTIFY_SOCKET: SYSTEMD.NOTIFY_SOCKET });
    await manager.ready();
    assert.equal(clock.pendingTimers, 0);
  });

  it('starts nothing where nobody listens', async () => {
    const { manager, told } = startedWith({ WATCHDOG_USEC: SYSTEMD.WATCHDOG_USEC });
    await manager.ready();
    await manager.stopping();
    assert.deepEqual(told, []);
    assert.equal(clock.pendingTimers, 0);
  });

  for (const [what, result] of [
    ['fails', { ...done, exitCode: 1, stderr: 'no such socket\n' }],
    ['is not there', new Error('no such socket')],
  ] as const) {
    it(`goes on when systemd-notify ${what}, and says so`, async () => {
      const { manager, warnings } = startedWith(SYSTEMD, result);
      await manager.ready();
      assert.deepEqual(warnings, [['systemd could not be told READY=1', 'no such socket']]);
      await manager.stopping();
    });
  }
});
