// npm run bench [-- --quick] [-- --only saturation,fixed-rate] [-- --url name=http://host:port[/target]] [-- --no-write]
// See docs/benchmarks.md.
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { benchObstacle, installBenchPackages } from '../scripts/lib/debian-packages.ts';
import { repositoryRoot } from '../scripts/lib/repository.ts';
import { runMain } from '../scripts/lib/run-main.ts';
import { bindSelf } from './lib/binding.ts';
import { describeMachine, machineText } from './lib/machine.ts';
import { writeData, writePage } from './lib/page.ts';
import type { BenchContext, Part } from './lib/part.ts';
import { bundled } from './lib/product.ts';
import { sideByUrl } from './lib/sides.ts';
import { targetsText } from './lib/targets.ts';
import { footprint } from './parts/footprint.ts';
import { monitor } from './parts/monitor.ts';
import { fixedRate, free, saturation } from './parts/saturation.ts';
import { underLoad } from './parts/under-load.ts';

const LOAD_CPUS = '1';

const PARTS: readonly Part[] = [saturation, free, fixedRate, underLoad, footprint, monitor];

await runMain(async () => {
  const { values } = parseArgs({
    allowNegative: true,
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string' },
      url: { type: 'string', multiple: true, default: [] },
      write: { type: 'boolean' },
      // As in the images.
      'node-arguments': { type: 'string', default: '--max-semi-space-size=2' },
    },
  });
  const { quick, only, url, write = !quick && url.length === 0 } = values;
  const parts = wantedParts(only, quick);
  const further = url.map(sideByUrl);
  const obstacle = benchObstacle();
  if (obstacle !== undefined) throw new Error(`the benchmarks cannot run: ${obstacle}`);
  if (cpus().length < 2) throw new Error('the benchmarks need 2 CPUs: one for the load');
  await installBenchPackages(console.log);

  bindSelf(LOAD_CPUS);
  const machine = await describeMachine();
  const measuredAt = new Date();
  console.log(machineText(machine, measuredAt));
  const faults: string[] = [];
  const folder = mkdtempSync(join(tmpdir(), 'msi-proxy-bench-'));
  try {
    const context: BenchContext = {
      folder,
      isQuick: quick,
      cpus: '0',
      loadCpus: LOAD_CPUS,
      proxyBundle: await bundled('msi-proxy', folder),
      nodeArguments: values['node-arguments'].split(' ').filter(argument => argument !== ''),
      further,
      docsFolder: write ? join(repositoryRoot, 'docs') : undefined,
      progress: console.log,
    };
    for (const { name, run } of parts) {
      const { markdown, data, faults: found } = await run(context);
      console.log(`\n${markdown}\n`);
      faults.push(...found);
      if (!write) continue;
      const figures = await writeData({ machine, measuredAt, [name]: data });
      const targets = targetsText(figures);
      await writePage({ machine: machineText(machine, measuredAt), [name]: markdown, targets });
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
  if (faults.length > 0) throw new Error(`wrong answers:\n${faults.join('\n')}`);
});

function wantedParts(only: string | undefined, isQuick: boolean): Part[] {
  if (only === undefined) return PARTS.filter(({ isQuickToo }) => isQuickToo || !isQuick);
  return only.split(',').map(name => {
    const part = PARTS.find(each => each.name === name);
    if (part !== undefined) return part;
    throw new Error(`--only names "${name}": expected some of ${PARTS.map(each => each.name).join(', ')}`);
  });
}
