/** A file of the page, ready to be sent. */
export interface PageAsset {
  readonly contentType: string;
  readonly text: string;
}

/** What the page is made of, by path. `/` is the page itself; the names of the others change with what is in them. */
export type PageAssets = Readonly<Record<string, PageAsset>>;

/** Where the page is. */
export const PAGE_PATH = '/';

/** Of everything else that it is made of. */
export const ASSET_PREFIX = '/page/';

export const PAGE_CONTENT_TYPES = {
  html: 'text/html; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  svg: 'image/svg+xml; charset=utf-8',
} as const;
