import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { mustRun, runCommand } from './run-command.ts';

/** Folder of the images' layers. Nothing changes a layer that is there: containers write to layers of their own. */
const LAYERS = 'overlay2';

/** Copies the data folder of a stopped engine. Layers, which are nearly all of it, are hard links where that is possible. */
export async function copyEngineData(source: string, destination: string): Promise<void> {
  await mkdir(destination, { mode: 0o711 });
  for (const name of await readdir(source)) {
    const from = join(source, name);
    const to = join(destination, name);
    // With owners, device files and extended attributes, all of which layers have.
    const linked = name === LAYERS && (await runCommand(['cp', '-a', '--link', from, to])).exitCode === 0;
    if (!linked) await mustRun(['cp', '-a', '--reflink=auto', '--force', from, destination]);
  }
}
