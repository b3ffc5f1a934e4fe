/**
 * Makes the files of the status page of its sources. Programs that are bundled carry the result, so that nothing is built
 * where they run; a monitor that runs from its sources builds the page when it is asked for first.
 */
import { readFile } from 'node:fs/promises';
import { basename, extname, join, relative } from 'node:path';
import * as esbuild from 'esbuild';
import {
  ASSET_PREFIX,
  PAGE_CONTENT_TYPES,
  PAGE_PATH,
  type PageAsset,
  type PageAssets,
} from '../src/page/server/page-assets.ts';

export interface BuiltPage {
  readonly assets: PageAssets;
  /** What it was made of: absolute paths. */
  readonly files: readonly string[];
}

const SOURCES = join(import.meta.dirname, '../src/page/browser');
const PAGE = join(SOURCES, 'index.html');
const ENTRIES = ['main.tsx', 'page.css', 'icon.svg'];

/** As the server takes them. */
export async function pageAssets(): Promise<PageAssets> {
  return (await buildPage()).assets;
}

export async function buildPage(): Promise<BuiltPage> {
  const { outputFiles, metafile } = await esbuild.build({
    absWorkingDir: SOURCES,
    entryPoints: ENTRIES,
    entryNames: '[name]-[hash]',
    outdir: '/page',
    write: false,
    metafile: true,
    bundle: true,
    minify: true,
    platform: 'browser',
    format: 'esm',
    target: 'es2022',
    jsx: 'automatic',
    jsxImportSource: 'preact',
    loader: { '.svg': 'copy' },
    legalComments: 'none',
    logLevel: 'silent',
  });
  const assets: Record<string, PageAsset> = {};
  let html = await readFile(PAGE, 'utf8');
  for (const { path, text } of outputFiles) {
    const name = basename(path);
    assets[`${ASSET_PREFIX}${name}`] = { contentType: contentTypeOf(name), text };
    html = html.replace(`{{${nameWithoutHash(name)}}}`, `.${ASSET_PREFIX}${name}`);
  }
  if (html.includes('{{')) throw new Error(`${PAGE} names a file that is not built`);
  assets[PAGE_PATH] = { contentType: PAGE_CONTENT_TYPES.html, text: html };
  return { assets, files: [PAGE, ...Object.keys(metafile.inputs).map(path => join(SOURCES, path))] };
}

function nameWithoutHash(name: string): string {
  return name.replace(/-[0-9A-Z]+(?=\.[a-z]+$)/, '');
}

function contentTypeOf(name: string): string {
  const extension = extname(name).slice(1);
  if (extension in PAGE_CONTENT_TYPES)
    return PAGE_CONTENT_TYPES[extension as keyof typeof PAGE_CONTENT_TYPES];
  throw new Error(`the page has no use for a file like ${relative(SOURCES, name)}`);
}
