import assert from 'node:assert/strict';
import { MsiProxyError } from '@msi-proxy/shared';
import { FakeClock } from '@msi-proxy/shared/testing';
import { ok, skipped, warning, failed, type Check, type Finding } from '../../../src/doctor/check.ts';
import { formatOutcome, worstOf } from '../../../src/doctor/report.ts';
import { runChecks } from '../../../src/doctor/run-checks.ts';
import { factsOf } from './support.ts';

function check(id: string, run: () => Finding | Promise<Finding>, changes: Partial<Check> = {}): Check {
  return { id, title: id.toUpperCase(), about: 'always', run: () => Promise.resolve(run()), ...changes };
}

async function outcomesOf(checks: readonly Check[], facts = factsOf()) {
  const told: string[] = [];
  const clock = new FakeClock();
  const outcomes = await runChecks({ checks, facts, clock, onOutcome: ({ id }) => told.push(id) });
  assert.deepEqual(
    told,
    outcomes.map(({ id }) => id),
  );
  return outcomes;
}

describe('the run of checks', () => {
  it('asks all of them, in order, and tells each outcome', async () => {
    const outcomes = await outcomesOf([
      check('a', () => ok('well')),
      check('b', () => warning('so so', 'mend it'), { needs: ['a'] }),
    ]);
    assert.deepEqual(outcomes, [
      { id: 'a', title: 'A', result: 'ok', seen: 'well' },
      { id: 'b', title: 'B', result: 'warning', seen: 'so so', remedy: 'mend it' },
    ]);
  });

  it('skips what rests on something that failed, also by way of what was skipped, and names the first cause', async () => {
    const outcomes = await outcomesOf([
      check('a', () => failed('broken', 'mend it')),
      check('b', () => ok(''), { needs: ['a'] }),
      check('c', () => ok(''), { needs: ['b'] }),
      check('d', () => ok('')),
    ]);
    assert.deepEqual(
      outcomes.map(({ result, seen }) => `${result} ${seen}`),
      ['failed broken', 'skipped needs: A', 'skipped needs: A', 'ok '],
    );
  });

  it('goes on where something does not apply, or is only worth a warning', async () => {
    const outcomes = await outcomesOf([
      check('a', () => skipped('not here')),
      check('b', () => warning('so so', ''), { needs: ['a'] }),
      check('c', () => ok(''), { needs: ['a', 'b'] }),
    ]);
    assert.equal(outcomes.at(-1)?.result, 'ok');
  });

  it('takes an error for a failure, with the remedy of its code', async () => {
    const [coded, other] = await outcomesOf([
      check('a', () => {
        throw new MsiProxyError('MSI_ENGINE_TOO_OLD', 'version 1');
      }),
      check('b', () => Promise.reject(new Error('oops'))),
    ]);
    assert.deepEqual([coded?.result, coded?.seen], ['failed', 'version 1']);
    assert.match(coded?.remedy ?? '', /20\.10/);
    assert.deepEqual([other?.result, other?.seen], ['failed', 'oops']);
    assert.notEqual(other?.remedy, undefined);
  });

  it('does not wait for ever', async () => {
    const clock = new FakeClock();
    const running = runChecks({
      checks: [check('a', () => new Promise<Finding>(() => undefined)), check('b', () => ok(''))],
      facts: factsOf(),
      clock,
      onOutcome: () => undefined,
    });
    await clock.advance(20_000);
    const [late, next] = await running;
    assert.deepEqual([late?.result, late?.seen], ['failed', 'no answer within 20 s']);
    assert.equal(next?.result, 'ok');
  });

  it('asks about a container only where one is named', async () => {
    const checks = [
      check('both', () => ok('')),
      check('vm', () => ok(''), { about: 'vm' }),
      check('one', () => ok(''), { about: 'container' }),
    ];
    const ids = async (subject: { container?: string }) =>
      (await outcomesOf(checks, factsOf({ subject }))).map(({ id }) => id);
    assert.deepEqual(await ids({}), ['both', 'vm']);
    assert.deepEqual(await ids({ container: 'web' }), ['both', 'one']);
  });
});

describe('the report', () => {
  const outcome = {
    id: 'a',
    title: 'Guard',
    result: 'failed',
    seen: 'one two three',
    remedy: 'mend it',
  } as const;
  const plain = { paint: (text: string) => text, width: Infinity };

  it('goes by the worst result', () => {
    const of = (...results: readonly ('ok' | 'warning' | 'failed' | 'skipped')[]) =>
      worstOf(results.map(result => ({ ...outcome, result })));
    assert.equal(of('ok', 'skipped'), 'ok');
    assert.equal(of('ok', 'warning', 'ok'), 'warning');
    assert.equal(of('failed', 'warning'), 'failed');
    assert.equal(of(), 'skipped');
  });

  it('has a line for what was seen, and one for the remedy', () => {
    assert.equal(
      formatOutcome(outcome, plain),
      `failed   ${'Guard'.padEnd(18)}  one two three\n${' '.repeat(29)}→ mend it\n`,
    );
  });

  it('breaks lines at the width of the terminal', () => {
    const seen = 'word '.repeat(40).trim();
    const lines = formatOutcome({ ...outcome, seen }, { ...plain, width: 80 }).split('\n');
    assert.ok(lines.length > 3);
    assert.ok(lines.every(line => line.length <= 80));
  });

  it('does not pass on control characters', () => {
    const text = formatOutcome({ ...outcome, seen: 'a\u001b[2Jb\u202ec\nd' }, plain);
    assert.match(text, /a \[2Jb c d\n/);
  });
});
