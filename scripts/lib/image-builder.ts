import { copyFile, mkdir, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundleProgram, type ProgramName } from './bundle.ts';
import { productVersion, repositoryRoot } from './repository.ts';

/** What goes into the build context of an image besides its Dockerfile. */
type Content = { readonly program: ProgramName } | { readonly file: string };

/** The product's images, by name. */
export const IMAGES = {
  proxy: { program: 'msi-proxy' },
  monitor: { program: 'msi-monitor' },
  client: { file: 'startup.sh' },
  'imds-emulator': { program: 'imds-emulator' },
} as const satisfies Record<string, Content>;

export type ImageName = keyof typeof IMAGES;
export const IMAGE_NAMES = Object.keys(IMAGES) as readonly ImageName[];

export interface ImageBuildOptions {
  /** Runs the Docker client with these arguments; it has to succeed. Gives back what it printed. */
  readonly docker: (args: readonly string[]) => Promise<string>;
  readonly names?: readonly ImageName[];
  readonly baseImage?: string;
  readonly tag?: string;
}

export interface BuiltImage {
  readonly name: ImageName;
  readonly reference: string;
  readonly sizeBytes: number;
  /** The bundled program or script that the image carries. */
  readonly contentBytes: number;
}

/** Builds images with an engine, each from a folder with nothing but its Dockerfile and its one file. */
export async function buildImages(options: ImageBuildOptions): Promise<BuiltImage[]> {
  const { names = IMAGE_NAMES } = options;
  const contexts = await mkdtemp(join(tmpdir(), 'msi-proxy-images-'));
  try {
    return await Promise.all(names.map(name => buildImage(name, join(contexts, name), options)));
  } finally {
    await rm(contexts, { recursive: true, force: true });
  }
}

async function buildImage(
  name: ImageName,
  context: string,
  { docker, baseImage, tag = 'latest' }: ImageBuildOptions,
): Promise<BuiltImage> {
  const folder = join(repositoryRoot, 'images', name);
  await mkdir(context);
  const contentFile = await placeContent(IMAGES[name], folder, context);
  const reference = `msi-proxy/${name}:${tag}`;
  await docker([
    'build',
    '--file',
    join(folder, 'Dockerfile'),
    ...(baseImage === undefined ? [] : ['--build-arg', `BASE_IMAGE=${baseImage}`]),
    '--build-arg',
    `VERSION=${productVersion()}`,
    '--tag',
    reference,
    context,
  ]);
  const sizeBytes = Number(await docker(['image', 'inspect', '--format', '{{.Size}}', reference]));
  return { name, reference, sizeBytes, contentBytes: (await stat(contentFile)).size };
}

async function placeContent(content: Content, folder: string, context: string): Promise<string> {
  if ('program' in content) {
    const outfile = join(context, content.program);
    await bundleProgram(content.program, outfile);
    return outfile;
  }
  const file = join(context, content.file);
  await copyFile(join(folder, content.file), file);
  return file;
}
