import type { PageAssets } from './page-assets.ts';

/** The page's files, which are built before: see `imports` in package.json. */
export function pageAssets(): Promise<PageAssets>;
