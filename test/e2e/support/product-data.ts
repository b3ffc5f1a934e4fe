import {
  buildImage,
  imageFingerprint,
  IMAGES,
  NODE_CLIENT_IMAGE,
  PYTHON_CLIENT_IMAGE,
  WINDOWS_CLIENT_IMAGE,
  type ImageSource,
} from '../../../scripts/lib/image-builder.ts';
import { cached, fingerprint } from '../../lab/cache.ts';
import { BASE_IMAGE, preparedEngineData, PYTHON_IMAGE, SimulatedVm } from '../../lab/index.ts';

const IMAGES_AND_BASES: readonly (readonly [ImageSource, string])[] = [
  ...Object.values(IMAGES).map(source => [source, BASE_IMAGE] as const),
  [NODE_CLIENT_IMAGE, BASE_IMAGE],
  [PYTHON_CLIENT_IMAGE, PYTHON_IMAGE],
  [WINDOWS_CLIENT_IMAGE, NODE_CLIENT_IMAGE.repository],
];

/** Data folder of an engine that has the product's images as the tree is now, and those of the test clients. */
export async function productEngineData(): Promise<string> {
  const bases = await preparedEngineData();
  const images = await Promise.all(IMAGES_AND_BASES.map(([source]) => imageFingerprint(source)));
  return await cached({
    kind: 'product-data',
    key: fingerprint(bases, ...images),
    make: async path => {
      await using vm = await SimulatedVm.start({ imds: false, preparedData: bases });
      for (const [source, baseImage] of IMAGES_AND_BASES) {
        await buildImage(source, { docker: args => vm.engine.docker(args), baseImage });
      }
      await vm.engine.shutDown();
      await vm.engine.copyData(path);
    },
  });
}
