import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buildImage, IMAGE_NAMES, IMAGES, WINDOWS_IMAGES } from '../../../scripts/lib/image-builder.ts';
import { imagesFor } from '../../../scripts/lib/image-platform.ts';
import { contentOf } from './tracked-files.ts';

interface Build {
  readonly args: readonly string[];
  /** Content by name. */
  readonly context: Readonly<Record<string, string>>;
}

/** Builds without an engine; what the engine would have been given. */
async function buildWithout(
  ...[source, options]: [
    Parameters<typeof buildImage>[0],
    Partial<Omit<Parameters<typeof buildImage>[1], 'docker'>>,
  ]
): Promise<Build> {
  let build: Build | undefined;
  await buildImage(source, {
    ...options,
    docker: async args => {
      if (args[0] !== 'build') return '1';
      const folder = args.at(-1)!;
      const names = await readdir(folder);
      const contents = await Promise.all(names.map(name => readFile(join(folder, name), 'utf8')));
      build = { args, context: Object.fromEntries(names.map((name, index) => [name, contents[index]!])) };
      return '';
    },
  });
  assert.ok(build !== undefined);
  return build;
}

describe('images for Windows', () => {
  for (const name of IMAGE_NAMES) {
    it(`${name}: the engine is given every file that is copied, and no other`, async () => {
      const source = WINDOWS_IMAGES[name];
      const { context } = await buildWithout(source, {});
      const copied = contentOf(source.dockerfile)
        .split('\n')
        .filter(line => line.startsWith('COPY '))
        .flatMap(line => line.split(' ').slice(1, -1));
      assert.deepEqual(Object.keys(context).sort(), [...new Set(copied)].sort());
    }).timeout(20_000);
  }

  it('carry scripts with the line ends of Windows, whatever the checkout has', async () => {
    const { context } = await buildWithout(WINDOWS_IMAGES.client, {});
    for (const [name, content] of Object.entries(context)) {
      assert.deepEqual(new Set(content.match(/\r?\n/g)), new Set(['\r\n']), name);
    }
  });

  it('are built by their own Dockerfile, with the base and the arguments that are wanted', async () => {
    const { args } = await buildWithout(WINDOWS_IMAGES.client, {
      tag: 'ltsc2025',
      baseImage: 'mcr.microsoft.com/windows/nanoserver:ltsc2025',
      buildArguments: ['NODE_DIST=https://mirror.example/node'],
    });
    const text = args.join(' ');
    assert.match(text, /--file \S*images\/client\/Dockerfile\.windows /);
    assert.match(text, /--build-arg BASE_IMAGE=mcr\.microsoft\.com\/windows\/nanoserver:ltsc2025 /);
    assert.match(text, /--build-arg NODE_DIST=https:\/\/mirror\.example\/node /);
    assert.match(text, /--tag msi-proxy\/client:ltsc2025 /);
  });
});

describe('the platform of images', () => {
  it('is that of the engine, unless one is asked for', () => {
    assert.equal(imagesFor(undefined, 'linux', 'unix:///s'), IMAGES);
    assert.equal(imagesFor(undefined, 'windows', 'npipe:////./pipe/p'), WINDOWS_IMAGES);
    assert.equal(imagesFor('windows', 'windows', 'npipe:////./pipe/p'), WINDOWS_IMAGES);
  });

  it('cannot be another one than that of the engine, and the message says what to do', () => {
    assert.throws(() => imagesFor('windows', 'linux', 'unix:///var/run/docker.sock'), {
      message:
        /^--platform windows needs a Docker engine for windows containers, and the one at unix:\/\/\/var\/run\/docker\.sock is for linux containers: run it on Windows Server/,
    });
    assert.throws(() => imagesFor('linux', 'windows', 'npipe:////./pipe/p'), {
      message: /^--platform linux needs a Docker engine for linux containers/,
    });
  });

  it('is Linux or Windows', () => {
    assert.throws(() => imagesFor('darwin', 'linux', 'unix:///s'), {
      message: '--platform is "darwin": expected linux or windows',
    });
  });
});
