// Prints as one of mocha's own reporters does (option "style"), names what was skipped, and writes the counts and what
// failed to a file (option "counts"), so that `npm test` can add up its steps and tell at its end what failed.
import { writeFileSync } from 'node:fs';
import Mocha from 'mocha';

const styles = { spec: Mocha.reporters.Spec, dot: Mocha.reporters.Dot };

/** Mocha calls this with `new`. */
export default function CountingReporter(runner, options) {
  const { style = 'spec', counts } = options.reporterOptions ?? {};
  const Style = styles[style];
  if (Style === undefined) throw new Error(`reporter option style is "${style}": expected spec or dot`);
  // What is printed is up to the style; it listens to the runner by itself.
  new Style(runner, options);
  const skipped = [];
  const failures = [];
  runner.on(Mocha.Runner.constants.EVENT_TEST_PENDING, test => skipped.push(test.fullTitle()));
  runner.on(Mocha.Runner.constants.EVENT_TEST_FAIL, (test, error) => {
    failures.push({ title: test.fullTitle(), error: String(error.stack ?? error.message ?? error) });
  });
  runner.once(Mocha.Runner.constants.EVENT_RUN_END, () => {
    for (const title of skipped) console.log(`  skipped: ${title}`);
    const { passes: passed, failures: failed } = runner.stats;
    if (counts !== undefined) {
      writeFileSync(counts, JSON.stringify({ passed, failed, skipped: skipped.length, failures }));
    }
  });
}
