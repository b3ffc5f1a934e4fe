import { chmod, copyFile, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fingerprint } from '../../test/lab/cache.ts';
import { bundle, PROGRAMS, type BundledFiles } from './bundle.ts';
import type { Docker } from '../../test/lab/index.ts';
import { NOTICES_NAME, noticesOf } from './notices.ts';
import { productVersion, repositoryRoot } from './repository.ts';

interface BundledContent {
  readonly entry: string;
  readonly as: string;
  /** Brings its own licence, and those of what is in the bundle. */
  readonly withLicences?: boolean;
}

/** An image: a Dockerfile, the one file that the image carries, and small ones that help it there. */
export interface ImageSource {
  readonly repository: string;
  /** This and all other paths are relative to the root of this repository. */
  readonly dockerfile: string;
  /** Bundled to `as`, or copied as it is. */
  readonly content: BundledContent | { readonly file: string };
  /** Files of installed packages that the program reads, named as imports name them. */
  readonly packageFiles?: readonly string[];
  /** Copied as they are. */
  readonly helpers?: readonly string[];
}

const LICENCE_NAME = 'LICENSE';

const PROXY = { entry: PROGRAMS['msi-proxy'], as: 'msi-proxy', withLicences: true };
const MONITOR = { entry: PROGRAMS['msi-monitor'], as: 'msi-monitor', withLicences: true };
const EMULATOR = { entry: PROGRAMS['imds-emulator'], as: 'imds-emulator', withLicences: true };

/** The product's images. */
export const IMAGES = {
  proxy: linuxImage('proxy', PROXY),
  monitor: linuxImage('monitor', MONITOR),
  client: linuxImage('client', { file: 'images/client/startup.sh' }),
  'imds-emulator': linuxImage('imds-emulator', EMULATOR),
} as const satisfies Record<string, ImageSource>;

export type ImageName = keyof typeof IMAGES;
export const IMAGE_NAMES = Object.keys(IMAGES) as readonly ImageName[];

const INSTALL_NODE = 'images/windows/install-node.ps1';

/** The same for Windows containers. */
export const WINDOWS_IMAGES: Readonly<Record<ImageName, ImageSource>> = {
  proxy: windowsImage('proxy', PROXY, ['images/proxy/msi-proxy.cmd', INSTALL_NODE]),
  monitor: windowsImage('monitor', MONITOR, ['images/monitor/msi-monitor.cmd', INSTALL_NODE]),
  client: windowsImage('client', { file: 'images/client/startup.cmd' }, ['images/client/startup.ps1']),
  'imds-emulator': windowsImage('imds-emulator', EMULATOR, [
    'images/imds-emulator/imds-emulator.cmd',
    INSTALL_NODE,
  ]),
};

/** A client with the Azure SDK for JavaScript, for the demo and the tests. */
export const NODE_CLIENT_IMAGE: ImageSource = {
  repository: 'msi-proxy-lab/node-client',
  dockerfile: 'test/clients/node/Dockerfile',
  content: { entry: 'test/clients/node/token-client.ts', as: 'token-client.mjs' },
};

/** A client with Debian's Azure SDK for Python, for the tests. */
export const PYTHON_CLIENT_IMAGE: ImageSource = {
  repository: 'msi-proxy-lab/python-client',
  dockerfile: 'test/clients/python/Dockerfile',
  content: { file: 'test/clients/python/token_client.py' },
};

/** A client in a simulated Windows container, which is also one with the Azure SDK for JavaScript. */
export const WINDOWS_CLIENT_IMAGE: ImageSource = {
  repository: 'msi-proxy-lab/windows-client',
  dockerfile: 'test/windows-sim/Dockerfile',
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
  /** `NAME=value` each. */
  readonly buildArguments?: readonly string[];
}

export interface BuiltImage {
  readonly reference: string;
  readonly sizeBytes: number;
  /** The bundled program or script that the image carries. */
  readonly contentBytes: number;
}

/** Changes when anything that an image of ours is made from does, other than its base. */
export async function imageFingerprint(source: ImageSource): Promise<string> {
  return await withContext(source, async context => {
    const dockerfile = await readFile(join(repositoryRoot, source.dockerfile));
    const names = (await readdir(context)).sort();
    const contents = await Promise.all(names.map(name => readFile(join(context, name))));
    return fingerprint(source.repository, dockerfile, ...names, ...contents);
  });
}

/** Builds an image with an engine, from a temporary folder with nothing but its own files. */
export async function buildImage(source: ImageSource, options: ImageBuildOptions): Promise<BuiltImage> {
  const { docker, baseImage, tag = 'latest', buildArguments = [] } = options;
  return await withContext(source, async (context, contentFile) => {
    const reference = `${source.repository}:${tag}`;
    await docker([
      'build',
      '--file',
      join(repositoryRoot, source.dockerfile),
      ...(baseImage === undefined ? [] : ['--build-arg', `BASE_IMAGE=${baseImage}`]),
      '--build-arg',
      `VERSION=${productVersion()}`,
      ...buildArguments.flatMap(argument => ['--build-arg', argument]),
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

async function placeContent({ content, helpers = [] }: ImageSource, context: string): Promise<string> {
  for (const helper of helpers) await copyScript(helper, context);
  if ('entry' in content) {
    const outfile = join(context, content.as);
    const files = await bundle(join(repositoryRoot, content.entry), outfile);
    if (content.withLicences === true) await placeLicences(files, context);
    return outfile;
  }
  return await copyScript(content.file, context);
}

async function placeLicences(files: BundledFiles, context: string): Promise<void> {
  const licence = await readFile(join(repositoryRoot, LICENCE_NAME));
  for (const [name, text] of [
    [LICENCE_NAME, licence],
    [NOTICES_NAME, noticesOf(files)],
  ] as const) {
    const file = join(context, name);
    await writeFile(file, text);
    await chmod(file, 0o644);
  }
}

/** Scripts for Windows get its line ends, whatever the checkout has: cmd loses its way among labels without them. */
async function copyScript(script: string, folder: string): Promise<string> {
  const source = join(repositoryRoot, script);
  const file = join(folder, basename(script));
  if (/\.(?:cmd|ps1)$/.test(script)) {
    await writeFile(file, (await readFile(source, 'utf8')).replace(/\r?\n/g, '\r\n'));
  } else {
    await copyFile(source, file);
    // The copy has the mode of a checkout, which may be closed to the users that the image is run as.
    await chmod(file, 0o755);
  }
  return file;
}

function linuxImage(name: string, content: ImageSource['content']): ImageSource {
  return { repository: `msi-proxy/${name}`, dockerfile: `images/${name}/Dockerfile`, content };
}

function windowsImage(
  name: string,
  content: ImageSource['content'],
  helpers: readonly string[],
): ImageSource {
  return {
    repository: `msi-proxy/${name}`,
    dockerfile: `images/${name}/Dockerfile.windows`,
    content,
    helpers,
  };
}
