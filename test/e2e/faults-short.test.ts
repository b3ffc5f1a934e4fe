import assert from 'node:assert/strict';
import { Bench } from '../faults/bench.ts';
import { FAULTS } from '../faults/catalogue.ts';
import { describeResult, violationsOf } from '../faults/report.ts';

const SEED = 1;
/** Of the monitors one is killed while it serves, and the next one while it starts. */
const KILLS = { 'proxy-kill': 2, 'monitor-kill': 2 } as const;

/** The short version of `npm run test:faults`; docs/faults.md says what of the rest does not hold. */
describe('under load', () => {
  for (const [name, kills] of Object.entries(KILLS)) {
    it(`${name}: nobody gets another's identity, nothing leaks, nothing fails but while there is no proxy`, async () => {
      const fault = FAULTS.find(candidate => candidate.name === name)!;
      await using bench = await Bench.start(fault, SEED);
      const result = await bench.measure(kills);
      console.log(describeResult(result));
      assert.deepEqual(violationsOf(result), []);
    });
  }
});
