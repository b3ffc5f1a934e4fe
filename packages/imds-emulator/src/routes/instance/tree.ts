import { instanceError, json, plainText, type Reply } from '../../http/reply.ts';

/** Metadata that can be walked by path. Below `/metadata/instance` every leaf is a text. */
export type MetadataTree =
  string | number | readonly MetadataTree[] | { readonly [name: string]: MetadataTree };

/**
 * Answers the part of the tree that a path names. JSON is the default; leaves can be had as text only, and a directory
 * as text is the list of its names.
 */
export function answerTree(tree: MetadataTree, path: readonly string[], format = 'json'): Reply {
  const part = walk(tree, path);
  if (part === undefined) return instanceError(404, 'Not found');
  switch (format) {
    case 'json':
      return isLeaf(part) ? leafNeedsText() : json(part);
    case 'text':
      return plainText(isLeaf(part) ? String(part) : listing(part));
    default:
      return instanceError(400, 'Bad request. The requested format is not supported');
  }
}

function walk(tree: MetadataTree, path: readonly string[]): MetadataTree | undefined {
  const [name, ...rest] = path;
  if (name === undefined) return tree;
  if (isLeaf(tree) || !Object.hasOwn(tree, name) || name === 'length') return undefined;
  return walk((tree as Readonly<Record<string, MetadataTree>>)[name]!, rest);
}

function isLeaf(tree: MetadataTree): tree is string | number {
  return typeof tree !== 'object';
}

function listing(directory: object): string {
  return Object.entries(directory as Readonly<Record<string, MetadataTree>>)
    .map(([name, child]) => (isLeaf(child) ? name : `${name}/`))
    .join('\n');
}

function leafNeedsText(): Reply {
  // The status is documented, the text is not.
  return instanceError(400, 'Bad request. A leaf is available with format=text only');
}
