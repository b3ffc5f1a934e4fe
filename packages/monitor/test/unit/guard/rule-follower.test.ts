import assert from 'node:assert/strict';
import { type CommandResult, type FollowOptions, silentLogger } from '@msi-proxy/shared';
import { FakeClock, settle } from '@msi-proxy/shared/testing';
import { RuleFollower } from '../../../src/guard/rule-follower.ts';
import { fakeCommandRunner } from '../support/fake-command-runner.ts';

describe('RuleFollower', () => {
  let clock: FakeClock;
  let programs: { readonly options: FollowOptions; readonly end: PromiseWithResolvers<CommandResult> }[];
  let changes: number;
  let follower: RuleFollower;

  beforeEach(async () => {
    clock = new FakeClock();
    programs = [];
    changes = 0;
    follower = new RuleFollower({
      runner: {
        ...fakeCommandRunner(),
        follow: async (_file, _argv, options) => {
          const end = Promise.withResolvers<CommandResult>();
          programs.push({ options, end });
          options.signal.addEventListener('abort', () => end.resolve(killed));
          return await end.promise;
        },
      },
      clock,
      logger: silentLogger,
      random: () => 0,
    });
    follower.start(() => (changes += 1));
    await settle();
  });
  afterEach(async () => {
    await follower.stop();
    assert.equal(clock.pendingTimers, 0);
  });

  const killed = { exitCode: 137, stdout: '', stderr: '' };

  function print(...lines: string[]): void {
    for (const line of lines) programs.at(-1)?.options.onLine(line);
  }

  for (const line of [
    'delete table ip msi_proxy',
    'insert rule ip msi_proxy guard accept',
    'delete rule ip filter DOCKER-USER handle 2',
    'insert rule ip filter FORWARD counter packets 0 bytes 0 jump DOCKER-USER',
    '# ERROR: No buffer space available',
  ]) {
    it(`tells at once of "${line}"`, () => {
      print(line);

      assert.equal(changes, 1);
    });
  }

  it('tells of nothing that is not ours', () => {
    print(
      'add rule ip nat DOCKER iifname "docker0" counter packets 0 bytes 0 return',
      'add table ip my_msi_proxy_2',
      '# new generation 8 by process 10369 (iptables)',
    );

    assert.equal(changes, 0);
  });

  it('tells of many changes at their first and at most four times a second', async () => {
    for (let each = 0; each < 1_000; each += 1) print('delete table ip msi_proxy');
    assert.equal(changes, 1);

    await clock.advance(250);
    assert.equal(changes, 2);
    await clock.advance(1_000);
    assert.equal(changes, 2);
    print('delete table ip msi_proxy');

    assert.equal(changes, 3);
  });

  it('starts the program again when it ends, ever later, and tells that something may have been missed', async () => {
    programs[0]?.end.resolve({ exitCode: 1, stdout: '', stderr: 'no' });
    await clock.advance(500);
    assert.deepEqual([programs.length, changes], [2, 1]);

    programs[1]?.end.reject(new Error('not installed'));
    await clock.advance(500);

    assert.deepEqual([programs.length, changes], [3, 2]);
  });

  it('tells nothing after it was stopped', async () => {
    await follower.stop();
    print('delete table ip msi_proxy');
    await clock.advance(60_000);

    assert.deepEqual([programs.length, changes], [1, 0]);
  });
});
