// npm run test:faults [-- --only proxy-kill,monitor-kill] [-- --count 5] [-- --seed 1] [-- --markdown file]: faults on a real
// engine in a simulated VM, and what clients saw of them. Ends with 1 when something was seen that may not be.
import { appendFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { type FaultResult, Bench } from './bench.ts';
import { FAULTS } from './catalogue.ts';
import { describeResult, TABLE_HEAD, tableRow, violationsOf } from './report.ts';

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    count: { type: 'string' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    markdown: { type: 'string' },
    list: { type: 'boolean', default: false },
  },
});
const wanted = values.only?.split(',') ?? FAULTS.map(({ name }) => name);
const unknown = wanted.filter(name => FAULTS.every(fault => fault.name !== name));
if (unknown.length > 0) usageError(`--only is "${unknown.join(',')}": expected names that --list prints`);
for (const key of ['count', 'seed'] as const) {
  const value = values[key];
  if (value !== undefined && !/^\d{1,9}$/.test(value))
    usageError(`--${key} is "${value}": expected a whole number`);
}
if (values.list) {
  for (const { name, count, unit = 'time', title } of FAULTS)
    console.log(`${name}  (${count} ${unit}s)  ${title}`);
  process.exit();
}

const seed = Number(values.seed);
console.log(`seed ${seed}`);
let failed = false;
const results: FaultResult[] = [];
for (const fault of FAULTS.filter(({ name }) => wanted.includes(name))) {
  const count = values.count === undefined ? fault.count : Number(values.count);
  console.log(`\n▶ ${fault.name} (${count} ${fault.unit ?? 'time'}s): ${fault.title}`);
  try {
    await using bench = await Bench.start(fault, seed);
    const result = await bench.measure(count);
    results.push(result);
    console.log(describeResult(result));
    if (violationsOf(result).length > 0) failed = true;
    if (values.markdown !== undefined) appendFileSync(values.markdown, `${tableRow(result)}\n`);
  } catch (error) {
    failed = true;
    console.error(error instanceof Error ? error.message : error);
  }
}
console.log(['', ...TABLE_HEAD, ...results.map(tableRow)].join('\n'));
process.exit(failed ? 1 : 0);

function usageError(message: string): never {
  console.error(message);
  process.exit(64);
}
