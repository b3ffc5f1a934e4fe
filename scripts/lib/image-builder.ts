import { copyFile, mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fingerprint } from '../../test/lab/cache.ts';
import { bundle, PROGRAMS } from './bundle.ts';
import { type Docker } from '../../test/lab/index.ts';
import { productVersion, repositoryRoot } from './repository.ts';

/** An image: a folder with a Dockerfile, and the one file that the image carries. */
export interface ImageSource {
  readonly repository: string;
  /** Relative to the root of this repository. */
  readonly folder: string;
  /** Bundled to `as`, or copied as it is. */
  readonly content: { readonly entry: string; readonly as: string } | { readonly file: string };
  /** Files of installed packages that the program reads, named as imports name them. */
  readonly packageFiles?: readonly string[];
}

/** The product's images. */
export const IMAGES = {
  proxy: productImage('proxy', { entry: PROGRAMS['msi-proxy'], as: 'msi-proxy' }),
  monitor: productImage('monitor', { entry: PROGRAMS['msi-monitor'], as: 'msi-monitor' }),
  client: productImage('client', { file: 'images/client/startup.sh' }),
  'imds-emulator': productImage('imds-emulator', { entry: PROGRAMS['imds-emulator'], as: 'imds-emulator' }),
} as const satisfies Record<string, ImageSource>;

export type ImageName = keyof typeof IMAGES;
export const IMAGE_NAMES = Object.keys(IMAGES) as readonly ImageName[];

/** A client with the Azure SDK for JavaScript, for the demo and the tests. */
export const NODE_CLIENT_IMAGE: ImageSource = {
  repository: 'msi-proxy-lab/node-client',
  folder: 'test/clients/node',
  content: { entry: 'test/clients/node/token-client.ts', as: 'token-client.mjs' },
};

/** A client with Debian's Azure SDK for Python, for the tests. */
export const PYTHON_CLIENT_IMAGE: ImageSource = {
  repository: 'msi-proxy-lab/python-client',
  folder: 'test/clients/python',
  content: { file: 'test/clients/python/token_client.py' },
};

/** A client in a simulated Windows container, which is also one with the Azure SDK for JavaScript. */
export const WINDOWS_CLIENT_IMAGE: ImageSource = {
  repository: 'msi-proxy-lab/windows-client',
  folder: 'test/windows-sim',
  content: { entry: 'test/windows-sim/src/main.ts', as: 'windows-sim.mjs' },
  packageFiles: [
    'web-tree-sitter/web-tree-sitter.wasm',
    'tree-sitter-powershell/tree-sitter-powershell.wasm',
  ],
};

export interface ImageBuildOptions {
  readonly docker: Docker;
  /** Instead of the one that the Dockerfile names. */
  readonly baseImage?: string;
  readonly tag?: string;
}

export interface BuiltImage {
  readonly reference: string;
  readonly sizeBytes: number;
  /** The bundled program or script that the image carries. */
  readonly contentBytes: number;
}

/** Changes when anything that an image of ours is made from does, other than its base. */
export async function imageFingerprint(source: ImageSource): Promise<string> {
  return await withContext(source, async (_context, contentFile) => {
    const dockerfile = await readFile(join(repositoryRoot, source.folder, 'Dockerfile'));
    return fingerprint(source.repository, dockerfile, await readFile(contentFile));
  });
}

/** Builds an image with an engine, from a temporary folder with nothing but its one file. */
export async function buildImage(source: ImageSource, options: ImageBuildOptions): Promise<BuiltImage> {
  const { docker, baseImage, tag = 'latest' } = options;
  return await withContext(source, async (context, contentFile) => {
    const reference = `${source.repository}:${tag}`;
    await docker([
      'build',
      '--file',
      join(repositoryRoot, source.folder, 'Dockerfile'),
      ...(baseImage === undefined ? [] : ['--build-arg', `BASE_IMAGE=${baseImage}`]),
      '--build-arg',
      `VERSION=${productVersion()}`,
      '--tag',
      reference,
      context,
    ]);
    const sizeBytes = Number(await docker(['image', 'inspect', '--format', '{{.Size}}', reference]));
    return { reference, sizeBytes, contentBytes: (await stat(contentFile)).size };
  });
}

async function withContext<T>(
  source: ImageSource,
  use: (context: string, contentFile: string) => Promise<T>,
): Promise<T> {
  const context = await mkdtemp(join(tmpdir(), 'msi-proxy-image-'));
  try {
    for (const file of source.packageFiles ?? []) {
      await copyFile(fileURLToPath(import.meta.resolve(file)), join(context, basename(file)));
    }
    return await use(context, await placeContent(source, context));
  } finally {
    await rm(context, { recursive: true, force: true });
  }
}

async function placeContent({ content }: ImageSource, context: string): Promise<string> {
  if ('entry' in content) {
    const outfile = join(context, content.as);
    await bundle(join(repositoryRoot, content.entry), outfile);
    return outfile;
  }
  const file = join(context, basename(content.file));
  await copyFile(join(repositoryRoot, content.file), file);
  return file;
}

function productImage(name: string, content: ImageSource['content']): ImageSource {
  return { repository: `msi-proxy/${name}`, folder: `images/${name}`, content };
}
