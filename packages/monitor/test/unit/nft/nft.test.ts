import assert from 'node:assert/strict';
import type { CommandResult, CommandRunner } from '@msi-proxy/shared';
import { Nft } from '../../../src/nft/nft.ts';

const DONE: CommandResult = { exitCode: 0, stdout: '', stderr: '' };
const FAILED: CommandResult = { exitCode: 1, stdout: '', stderr: 'Error: Device or resource busy' };

describe('Nft', () => {
  describe('loadPrepared', () => {
    let loaded: string[];
    let prepared: number;
    let cancelled: number;
    let outcome: () => Promise<CommandResult>;
    let nft: Nft;

    beforeEach(() => {
      loaded = [];
      prepared = 0;
      cancelled = 0;
      outcome = () => Promise.resolve(DONE);
      const runner: CommandRunner = {
        run: (_file, _argv, { stdin = '' } = {}) => {
          loaded.push(`started for ${stdin}`);
          return Promise.resolve(DONE);
        },
        prepare: () => {
          prepared += 1;
          return {
            run: stdin => {
              loaded.push(`prepared for ${stdin}`);
              return outcome();
            },
            cancel: () => (cancelled += 1),
          };
        },
      };
      nft = new Nft(runner);
    });

    it('uses the program that was started ahead, and the next one when that was', async () => {
      nft.prepare();
      nft.prepare();
      assert.equal(prepared, 1);

      await nft.loadPrepared('a');
      nft.prepare();
      await nft.loadPrepared('b');

      assert.deepEqual(loaded, ['prepared for a', 'prepared for b']);
      assert.equal(prepared, 2);
    });

    it('starts one where none was prepared', async () => {
      await nft.loadPrepared('a');

      assert.deepEqual(loaded, ['started for a']);
    });

    for (const [what, harm] of Object.entries({
      'has ended': () => Promise.reject(new Error('killed')),
      fails: () => Promise.resolve(FAILED),
    })) {
      it(`starts another one when the one that was prepared ${what}`, async () => {
        outcome = harm;
        nft.prepare();

        await nft.loadPrepared('a');

        assert.deepEqual(loaded, ['prepared for a', 'started for a']);
      });
    }

    it('leaves none behind', () => {
      nft.prepare();

      nft.close();
      nft.close();

      assert.equal(cancelled, 1);
    });
  });
});
