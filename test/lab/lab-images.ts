import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { cached, fingerprint } from './cache.ts';
import { bareTar, debianPythonTar, debianTar, rootFilesystemKey } from './root-filesystem.ts';
import { mustRun } from './run-command.ts';
import { SimulatedVm } from './simulated-vm.ts';

/** A small Debian with the network tools and the pinned Node: what the product's images are built on here. */
export const BASE_IMAGE = 'msi-proxy-lab/base';
/** Debian's Azure SDKs for Python, the newer and the older one. */
export const PYTHON_IMAGE = 'msi-proxy-lab/python';
/** Node and nothing else: no shell, no network tool. */
export const BARE_IMAGE = 'msi-proxy-lab/bare';

/**
 * Data folder of an engine that holds the lab's images, for {@link SimulatedVmOptions.preparedData}: copying it takes a
 * fraction of the time of loading the images. Made once and kept in the cache.
 */
export async function preparedEngineData(progress: (text: string) => void = () => {}): Promise<string> {
  return await cached({
    kind: 'engine-data',
    key: fingerprint(rootFilesystemKey, process.version, readFileSync(new URL(import.meta.url))),
    make: async path => {
      const debian = await debianTar(progress);
      const python = await debianPythonTar(progress);
      progress('Preparing an engine with the images (once)');
      await using vm = await SimulatedVm.start({ imds: false });
      await importImages(vm, { debian, python });
      await vm.engine.shutDown();
      await vm.engine.copyData(path);
    },
  });
}

async function importImages(
  vm: SimulatedVm,
  { debian, python }: { readonly debian: string; readonly python: string },
): Promise<void> {
  const base = `${vm.directory}/base.tar`;
  await mustRun(['cp', debian, base]);
  await mustRun(['tar', '--append', '-f', base, ...asUsrLocalBinNode(process.execPath)]);
  await importTar(vm, base, BASE_IMAGE);
  await importTar(vm, python, PYTHON_IMAGE);
  const bare = `${vm.directory}/bare.tar`;
  await bareTar(process.execPath, bare, debian);
  await importTar(vm, bare, BARE_IMAGE);
  for (const tar of [base, bare]) await rm(tar);
}

async function importTar(vm: SimulatedVm, tar: string, image: string): Promise<void> {
  const path = 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
  await vm.docker('import', '--change', path, '--change', 'CMD ["/bin/sh"]', tar, image);
}

function asUsrLocalBinNode(binary: string): string[] {
  // tar takes names as they are given, without the leading slash; the expression puts the file where it belongs.
  return ['--absolute-names', '--owner=0', '--group=0', `--transform=s,^.*$,./usr/local/bin/node,`, binary];
}
