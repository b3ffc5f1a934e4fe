// npm test [-- --only lint,unit] [-- --grep text]: runs the steps and ends with one line of counts.
import { type ChildProcess } from 'node:child_process';
import { parseArgs } from 'node:util';
import { styled } from './lib/terminal.ts';
import { runInherited, STEPS, type Counts, type Failure } from './lib/test-steps.ts';

const ERROR_LINES = 30;

const { values } = parseArgs({ options: { only: { type: 'string' }, grep: { type: 'string' } } });
const names = STEPS.map(({ name }) => name);
const wanted = values.only?.split(',') ?? names;
const unknown = wanted.filter(name => !names.includes(name));
if (unknown.length > 0) {
  console.error(`--only is "${unknown.join(',')}": expected some of ${names.join(', ')}`);
  process.exit(64);
}

let current: ChildProcess | undefined;
const interruption = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    interruption.abort();
    current?.kill(signal);
  });
}

const total = { passed: 0, failed: 0, skipped: 0 };
const failedSteps: string[] = [];
const failures: (Failure & { readonly step: string })[] = [];
for (const step of STEPS.filter(({ name }) => wanted.includes(name))) {
  if (interruption.signal.aborted) break;
  const start = performance.now();
  console.log(styled('bold', `\n▶ ${step.title}`));
  const counts = await runStep(step);
  total.passed += counts.passed;
  total.failed += counts.failed;
  total.skipped += counts.skipped;
  if (counts.failed > 0) failedSteps.push(step.name);
  failures.push(...(counts.failures ?? []).map(failure => ({ ...failure, step: step.name })));
  const seconds = ((performance.now() - start) / 1_000).toFixed(1);
  console.log(
    `${counts.failed === 0 ? styled('green', '✓') : styled('red', '✗')} ${step.name} (${seconds} s)`,
  );
}

if (interruption.signal.aborted) console.log('interrupted');
else if (failedSteps.length > 0) {
  // Once more at the end: who reads the log of a build sees its last lines, not what failed an hour before them.
  for (const { step, title, error } of failures) {
    console.log(`\n${styled('red', `✗ ${step}: ${title}`)}\n${indented(error)}`);
  }
  console.log(`\nfailed: ${failedSteps.join(', ')}`);
}
console.log(`\n${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exitCode = interruption.signal.aborted ? 130 : total.failed > 0 ? 1 : 0;

async function runStep(step: (typeof STEPS)[number]): Promise<Counts> {
  try {
    return await step.run({
      progress: text => console.log(`  ${text}`),
      run: argv => runInherited(argv, child => (current = child)),
      grep: values.grep,
    });
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    return { passed: 0, failed: 1, skipped: 0 };
  }
}

function indented(text: string): string {
  return text
    .split('\n')
    .slice(0, ERROR_LINES)
    .map(line => `  ${line}`)
    .join('\n');
}
