// npm run docs:screenshots: makes the pictures of the status page in docs/images, from the real page with a made-up status.
import { join } from 'node:path';
import { silentLogger } from '@msi-proxy/shared';
import { pageAssets } from '../packages/monitor/build/page-assets.ts';
import { createStatusServer } from '../packages/monitor/src/status/index.ts';
import { TestBrowser } from '../test/e2e/support/browser.ts';
import { sampleStatus } from '../test/e2e/support/sample-status.ts';
import { repositoryRoot } from './lib/repository.ts';
import { runMain } from './lib/run-main.ts';

const PICTURES = [
  { name: 'status-page', width: 1200, height: 1010, colorScheme: 'light' },
  { name: 'status-page-phone', width: 390, height: 844, colorScheme: 'dark' },
] as const;

await runMain(async () => {
  const status = sampleStatus();
  await using server = createStatusServer({
    listen: { host: '127.0.0.1', port: 0 },
    logger: silentLogger,
    status: () => status,
    ready: () => ({ ready: true }),
    metrics: () => '',
    pageAssets,
  });
  const { port } = await server.start();
  await using browser = await TestBrowser.start();
  for (const { name, width, height, colorScheme } of PICTURES) {
    const viewport = { width, height };
    const { page } = await browser.open(`http://127.0.0.1:${port}/`, {
      viewport,
      colorScheme,
      reducedMotion: 'reduce',
    });
    await page.getByRole('button', { name: 'orders', exact: true }).waitFor();
    const path = join(repositoryRoot, 'docs', 'images', `${name}.png`);
    await page.screenshot({ path });
    console.log(path);
  }
});
