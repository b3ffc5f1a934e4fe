import assert from 'node:assert/strict';
import { Bench } from '../faults/bench.ts';
import { FAULTS } from '../faults/catalogue.ts';
import { describeResult, violationsOf } from '../faults/report.ts';

const SEED = 1;
const KILLS = 3;

/** The short version of `npm run test:faults`; docs/faults.md says what of the rest does not hold. */
describe('under load, when the proxy is killed', () => {
  it("a killed proxy: nobody gets another's identity, nothing leaks, nothing fails but while there is no proxy", async () => {
    const fault = FAULTS.find(({ name }) => name === 'proxy-kill')!;
    await using bench = await Bench.start(fault, SEED);
    const result = await bench.measure(KILLS);
    console.log(describeResult(result));
    assert.deepEqual(violationsOf(result), []);
  });
});
