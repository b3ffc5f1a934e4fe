import { WINDOWS_IMAGES, IMAGES, type ImageName, type ImageSource } from './image-builder.ts';

/** What containers run on an engine: `docker version --format {{.Server.Os}}`. */
export type ImagePlatform = 'linux' | 'windows';

const SOURCES: Readonly<Record<ImagePlatform, Readonly<Record<ImageName, ImageSource>>>> = {
  linux: IMAGES,
  windows: WINDOWS_IMAGES,
};

const REMEDY: Readonly<Record<ImagePlatform, string>> = {
  linux: 'set DOCKER_HOST to an engine for Linux containers',
  windows:
    'run it on Windows Server with Docker (docs/windows.md), or set DOCKER_HOST to the engine of such a machine; images for Windows can be built nowhere else, since their steps run as Windows programs',
};

/**
 * The images that an engine can build.
 *
 * @param wanted what the user asked for, if anything
 * @param engineOs what the engine says of itself
 * @param engine where it is, for messages
 * @throws {Error} when the engine builds images of the other kind only
 */
export function imagesFor(
  wanted: string | undefined,
  engineOs: string,
  engine: string,
): Readonly<Record<ImageName, ImageSource>> {
  const platform = wanted ?? engineOs;
  if (platform !== 'linux' && platform !== 'windows') {
    throw new Error(`--platform is "${platform}": expected linux or windows`);
  }
  if (platform !== engineOs) {
    throw new Error(
      `--platform ${platform} needs a Docker engine for ${platform} containers, and the one at ${engine} is for ${engineOs} containers: ${REMEDY[platform]}`,
    );
  }
  return SOURCES[platform];
}
