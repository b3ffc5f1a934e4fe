import { createHash } from 'node:crypto';
import { PAGE_PATH, type PageAsset, type PageAssets } from './page-assets.ts';

/** A file of the page with the headers that it is sent with. */
export interface PageFile {
  readonly text: string;
  readonly etag: string;
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * Nothing but the page's own files and its own server: names and labels are hostile input, and are shown there. Trusted
 * Types close what would turn text into markup or code.
 */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ');

const PAGE_HEADERS = {
  // Asked again each time, which costs an answer without a body: a new version of the monitor has a new page.
  'Cache-Control': 'no-cache',
  'Content-Security-Policy': CONTENT_SECURITY_POLICY,
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
};

const ASSET_HEADERS = { 'Cache-Control': 'private, max-age=31536000, immutable' };

/** The page's files, which are loaded when somebody asks for the first of them. */
export class PageFiles {
  readonly #load: () => Promise<PageAssets>;
  #files: Promise<ReadonlyMap<string, PageFile>> | undefined;

  constructor(load: () => Promise<PageAssets>) {
    this.#load = load;
  }

  async find(path: string): Promise<PageFile | undefined> {
    this.#files ??= this.#read();
    return (await this.#files).get(path);
  }

  async #read(): Promise<ReadonlyMap<string, PageFile>> {
    try {
      const assets = Object.entries(await this.#load());
      return new Map(assets.map(([path, asset]) => [path, fileOf(path, asset)]));
    } catch (error) {
      this.#files = undefined; // the next one who asks may have more luck
      throw error;
    }
  }
}

function fileOf(path: string, { contentType, text }: PageAsset): PageFile {
  const etag = `"${createHash('sha256').update(text).digest('base64url').slice(0, 22)}"`;
  return {
    text,
    etag,
    headers: {
      ...(path === PAGE_PATH ? PAGE_HEADERS : ASSET_HEADERS),
      'Content-Type': contentType,
      'Cross-Origin-Resource-Policy': 'same-origin',
      ETag: etag,
    },
  };
}
