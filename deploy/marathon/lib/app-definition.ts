import { readFile } from 'node:fs/promises';

/** The parts of a Marathon app definition that we set or read; the rest passes through as it is. */
export interface AppDefinition {
  readonly id: string;
  readonly instances?: number;
  readonly container: { readonly docker: { readonly image: string } };
}

export interface Adaptation {
  /** How many agents the app is for; every definition here runs at most once on each. */
  readonly instances?: number;
  /** Goes in front of the image, such as `registry.example:5000/team`. */
  readonly registry?: string;
  /** Instead of the image's tag. */
  readonly tag?: string;
}

/** Marathon's rule for ids, limited to absolute ones. Source: stringTypes.raml, `PathId`. */
const ABSOLUTE_ID = /^(?:\/[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)+$/;
const TAG = /^\w[\w.-]{0,127}$/;
const REGISTRY = /^[a-z0-9]+(?:[._:/-]+[a-z0-9]+)*$/;

/** @throws Error that names the file and what is missing in it */
export async function readDefinition(file: string): Promise<AppDefinition> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new Error(`${file} cannot be read: ${(error as Error).message}`, { cause: error });
  });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new Error(`${file} is not JSON: ${(error as Error).message}`, { cause: error });
  }
  const { id, container } = (value ?? {}) as {
    id?: unknown;
    container?: { docker?: { image?: unknown } };
  };
  if (typeof id !== 'string' || !ABSOLUTE_ID.test(id)) {
    throw new Error(
      `${file} has the id ${JSON.stringify(id)}: expected an absolute one, such as "/group/app"`,
    );
  }
  if (typeof container?.docker?.image !== 'string') {
    throw new Error(`${file} has no container.docker.image: expected an app of the Docker containerizer`);
  }
  return value as AppDefinition;
}

/** The definition with another number of instances, or with an image from elsewhere. */
export function adapt(definition: AppDefinition, { instances, registry, tag }: Adaptation): AppDefinition {
  const { container } = definition;
  const image = imageReference(container.docker.image, registry, tag);
  return {
    ...definition,
    ...(instances !== undefined && { instances }),
    container: { ...container, docker: { ...container.docker, image } },
  };
}

/** @throws Error when the text is no whole number of at least 1 */
export function readInstances(text: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text)) {
    throw new Error(`--instances is "${text}": expected the number of agents, from 1 to 999999`);
  }
  return Number(text);
}

/** @throws Error when the text can be no tag of an image */
export function readTag(text: string): string {
  if (!TAG.test(text)) throw new Error(`--tag is "${text}": expected the tag of an image, such as "0.1.0"`);
  return text;
}

/** @throws Error when the text cannot stand in front of an image's name */
export function readRegistry(text: string): string {
  if (!REGISTRY.test(text)) {
    throw new Error(
      `--registry is "${text}": expected host, port and path, such as "registry.example:5000/team"`,
    );
  }
  return text;
}

function imageReference(image: string, registry: string | undefined, tag: string | undefined): string {
  // A colon before the last slash is that of a registry's port.
  const tagAt = image.indexOf(':', image.lastIndexOf('/') + 1);
  const name = tagAt === -1 ? image : image.slice(0, tagAt);
  const suffix = tag === undefined ? image.slice(name.length) : `:${tag}`;
  return (registry === undefined ? '' : `${registry}/`) + name + suffix;
}
