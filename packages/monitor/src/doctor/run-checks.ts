import { messageOf, type Clock } from '@msi-proxy/shared';
import { failed, skipped, type Check, type CheckOutcome, type Finding } from './check.ts';
import type { Facts } from './facts.ts';
import { remedyOf } from '../remedies.ts';

export interface RunChecksOptions {
  readonly checks: readonly Check[];
  readonly facts: Facts;
  readonly clock: Clock;
  /** Told of each outcome as soon as it is known. */
  readonly onOutcome: (outcome: CheckOutcome) => void;
}

/** For each check. The engine is given less for each of its answers. */
const CHECK_TIMEOUT_MILLIS = 20_000;

/** Asks in order. A check whose ground is missing is skipped, so that one fault is told once. */
export async function runChecks({
  checks,
  facts,
  clock,
  onOutcome,
}: RunChecksOptions): Promise<CheckOutcome[]> {
  const outcomes: CheckOutcome[] = [];
  const unusable = new Map<string, string>();
  const isAbout = facts.subject.container === undefined ? 'vm' : 'container';
  for (const check of checks.filter(({ about }) => about === 'always' || about === isAbout)) {
    const { id, title, needs = [] } = check;
    const missing = needs.map(each => unusable.get(each)).find(cause => cause !== undefined);
    const finding = missing === undefined ? await runOne(check, facts, clock) : skipped(`needs: ${missing}`);
    // What was skipped for want of something is no ground either; what does not apply here is.
    if (finding.result === 'failed' || missing !== undefined) unusable.set(id, missing ?? title);
    const outcome = { id, title, ...finding };
    outcomes.push(outcome);
    onOutcome(outcome);
  }
  return outcomes;
}

async function runOne(check: Check, facts: Facts, clock: Clock): Promise<Finding> {
  const late = Promise.withResolvers<Finding>();
  const timer = clock.setTimer(() => {
    late.resolve(
      failed(
        `no answer within ${CHECK_TIMEOUT_MILLIS / 1_000} s`,
        'Look at the load of the machine and at the log of the Docker engine.',
      ),
    );
  }, CHECK_TIMEOUT_MILLIS);
  try {
    return await Promise.race([check.run(facts), late.promise]);
  } catch (error) {
    const { engine, platform } = facts;
    return failed(messageOf(error), remedyOf(error, { host: engine.host, platform }));
  } finally {
    timer.cancel();
  }
}
