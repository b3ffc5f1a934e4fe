// npm run test:long [-- --minutes 30 --clients 200 --rate 5 --replace-seconds 60 --pause-seconds 10 --engine docker --write name]: clients come and go, the proxy is
// replaced, and what monitor and proxy hold may not grow. Ends with 1 when something was seen that may not be. `--write` makes
// docs/images/<name>.svg and docs/<name>.txt. After
// SIGUSR2 it ends before its time, with what it has seen.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { repositoryRoot } from '../../scripts/lib/repository.ts';
import { runMain } from '../../scripts/lib/run-main.ts';
import { chartOf } from './chart.ts';
import { MAX_CLIENTS, runLong, type LongRunOptions } from './long-run.ts';
import { reportOf } from './report.ts';
import { runWithStandIn } from './stand-in-run.ts';
import { judge } from './verdict.ts';

const stop = new AbortController();
process.once('SIGUSR2', () => stop.abort());

await runMain(async () => {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '30' },
      clients: { type: 'string', default: '200' },
      rate: { type: 'string', default: '5' },
      'replace-seconds': { type: 'string', default: '60' },
      'pause-seconds': { type: 'string', default: '10' },
      engine: { type: 'string', default: 'docker' },
      write: { type: 'string' },
    },
  });
  if (values.write !== undefined && !/^[a-z][a-z-]*$/.test(values.write))
    throw new Error(`--write is "${values.write}": expected a name of small letters`);
  if (values.engine !== 'docker' && values.engine !== 'stand-in')
    throw new Error(`--engine is "${values.engine}": expected docker or stand-in`);
  const options: LongRunOptions = {
    minutes: positive('minutes', values.minutes),
    clients: positive('clients', values.clients, MAX_CLIENTS),
    rate: positive('rate', values.rate),
    replaceSeconds: positive('replace-seconds', values['replace-seconds']),
    pauseSeconds: positive('pause-seconds', values['pause-seconds']),
    stop: stop.signal,
    progress: text => console.log(text),
  };
  const { criteria, report, chart } =
    values.engine === 'docker' ? await runWithDocker(options) : await runWithStandIn(options);
  console.log(`\n${report}`);
  if (values.write !== undefined) {
    writeFileSync(join(repositoryRoot, 'docs', 'images', `${values.write}.svg`), chart);
    writeFileSync(join(repositoryRoot, 'docs', `${values.write}.txt`), `${report}\n`);
  }
  const failed = criteria.filter(({ holds }) => holds === false);
  if (failed.length > 0)
    throw new Error(`does not hold: ${failed.map(({ what, seen }) => `${what}: ${seen}`).join('; ')}`);
});

async function runWithDocker(options: LongRunOptions) {
  const run = await runLong(options);
  const criteria = judge(run);
  return { criteria, report: reportOf(run, criteria), chart: chartOf(run) };
}

function positive(name: string, text: string, max = 1_000_000): number {
  const value = Number(text);
  if (!(value > 0 && value <= max))
    throw new Error(`--${name} is "${text}": expected a number above 0 and up to ${max}`);
  return value;
}
