// npm run images [-- --base-image X] [--tag Y] [--only name,…]: builds the images with the engine of DOCKER_HOST.
import { parseArgs } from 'node:util';
import { dockerClient } from './lib/docker-client.ts';
import { buildImage, IMAGE_NAMES, IMAGES, type BuiltImage, type ImageName } from './lib/image-builder.ts';
import { runMain } from './lib/run-main.ts';
import { formatBytes, printTable } from './lib/terminal.ts';

const { values } = parseArgs({
  options: {
    'base-image': { type: 'string' },
    tag: { type: 'string', default: 'latest' },
    only: { type: 'string' },
  },
});

await runMain(async () => {
  const names = values.only === undefined ? IMAGE_NAMES : values.only.split(',').map(readName);
  const docker = await dockerClient();
  const images: BuiltImage[] = [];
  for (const name of names) {
    const { 'base-image': baseImage, tag } = values;
    console.log(`Building msi-proxy/${name}:${tag}`);
    images.push(
      await buildImage(IMAGES[name], { docker, tag, ...(baseImage !== undefined && { baseImage }) }),
    );
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
