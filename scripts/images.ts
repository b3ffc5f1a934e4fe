// npm run images [-- --platform linux|windows] [--base-image X] [--tag Y] [--only name,…] [--build-arg NAME=value]:
// builds the images with the engine of DOCKER_HOST, for the kind of containers that it runs. Tagged with the version of this
// tree and as latest when no tag is named.
import { parseArgs } from 'node:util';
import { dockerClient, dockerHost } from './lib/docker-client.ts';
import { buildImage, IMAGE_NAMES, type BuiltImage, type ImageName } from './lib/image-builder.ts';
import { imagesFor } from './lib/image-platform.ts';
import { productVersion } from './lib/repository.ts';
import { runMain } from './lib/run-main.ts';
import { formatBytes, printTable } from './lib/terminal.ts';

const { values } = parseArgs({
  options: {
    platform: { type: 'string' },
    'base-image': { type: 'string' },
    tag: { type: 'string' },
    only: { type: 'string' },
    'build-arg': { type: 'string', multiple: true, default: [] },
  },
});

await runMain(async () => {
  const names = values.only === undefined ? IMAGE_NAMES : values.only.split(',').map(readName);
  const docker = await dockerClient();
  const engineOs = (await docker(['version', '--format', '{{.Server.Os}}'])).trim();
  const sources = imagesFor(values.platform, engineOs, dockerHost());
  const images: BuiltImage[] = [];
  for (const name of names) {
    const { 'base-image': baseImage, 'build-arg': buildArguments } = values;
    const [tag = 'latest', ...others] =
      values.tag === undefined ? ['latest', productVersion()] : [values.tag];
    console.log(`Building msi-proxy/${name}:${tag} for ${engineOs}`);
    const image = await buildImage(sources[name], {
      docker,
      tag,
      buildArguments,
      ...(baseImage !== undefined && { baseImage }),
    });
    for (const other of others) await docker(['tag', image.reference, `msi-proxy/${name}:${other}`]);
    images.push(image);
  }
  printTable(
    ['image', 'size', 'of which ours'],
    images.map(({ reference, sizeBytes, contentBytes }) => [
      reference,
      formatBytes(sizeBytes),
      formatBytes(contentBytes),
    ]),
  );
});

function readName(text: string): ImageName {
  const name = IMAGE_NAMES.find(known => known === text);
  if (name === undefined) throw new Error(`--only is "${text}": expected ${IMAGE_NAMES.join(', ')}`);
  return name;
}
