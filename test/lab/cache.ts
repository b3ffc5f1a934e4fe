import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** What is slow to make and the same for every run; outside the tree, so that clones share it. */
export const cacheDirectory = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'msi-proxy');

/** A short name for everything that the parts say. */
export function fingerprint(...parts: readonly (string | Uint8Array)[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(`${part.length}:`).update(part);
  return hash.digest('hex').slice(0, 16);
}

export interface CacheEntry {
  /** What kind of thing it is; of each kind, only the entries that were used last are kept. */
  readonly kind: string;
  /** Names what the entry is made from, see {@link fingerprint}. */
  readonly key: string;
  /** Makes the entry at a path in the cache that nothing else uses. */
  readonly make: (path: string) => Promise<void>;
}

const KEPT_OF_A_KIND = 3;
const UNFINISHED_AFTER_MILLIS = 60 * 60_000;

/** Gives the path of an entry, made first if it is not there. An interrupted making leaves nothing that looks whole. */
export async function cached({ kind, key, make }: CacheEntry): Promise<string> {
  const path = join(cacheDirectory, `${kind}-${key}`);
  if (!existsSync(path)) {
    await mkdir(cacheDirectory, { recursive: true });
    await removeStale(kind);
    const unfinished = join(cacheDirectory, `unfinished-${randomBytes(6).toString('hex')}`);
    try {
      await make(unfinished);
      await rename(unfinished, path).catch((error: unknown) => {
        // Another run may have made the same thing meanwhile.
        if (!existsSync(path)) throw error;
      });
    } finally {
      await rm(unfinished, { recursive: true, force: true });
    }
  }
  const now = new Date();
  await utimes(path, now, now);
  return path;
}

async function removeStale(kind: string): Promise<void> {
  const entries = await Promise.all(
    (await readdir(cacheDirectory)).map(async name => {
      const path = join(cacheDirectory, name);
      return { name, path, usedMillis: (await stat(path)).mtimeMs };
    }),
  );
  const sameKind = entries
    .filter(({ name }) => new RegExp(`^${kind}-[0-9a-f]{16}$`).test(name))
    .sort((a, b) => b.usedMillis - a.usedMillis);
  const abandoned = entries.filter(
    ({ name, usedMillis }) =>
      name.startsWith('unfinished-') && usedMillis < Date.now() - UNFINISHED_AFTER_MILLIS,
  );
  for (const { path } of [...sameKind.slice(KEPT_OF_A_KIND - 1), ...abandoned]) {
    await rm(path, { recursive: true, force: true });
  }
}
