import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core';

const CHROMIUM = '/usr/bin/chromium';

/** Root has no sandbox, and nothing but the page under test is to be asked. */
const ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Debian's Chromium without a window. Close it with `await using`. */
export class TestBrowser implements AsyncDisposable {
  readonly #browser: Browser;
  readonly #directory: string;

  private constructor(browser: Browser, directory: string) {
    this.#browser = browser;
    this.#directory = directory;
  }

  /** @param namespace the network namespace that it sees, instead of the machine's own */
  static async start(namespace?: string): Promise<TestBrowser> {
    const directory = await mkdtemp(join(tmpdir(), 'msi-proxy-browser-'));
    let executablePath = CHROMIUM;
    if (namespace !== undefined) {
      executablePath = join(directory, 'chromium');
      const command = `exec nsenter --net=/var/run/netns/${namespace} ${CHROMIUM} "$@"`;
      await writeFile(executablePath, `#!/bin/sh\n${command}\n`);
      await chmod(executablePath, 0o755);
    }
    const browser = await chromium.launch({ executablePath, args: ARGUMENTS, timeout: 120_000 });
    return new TestBrowser(browser, directory);
  }

  async open(url: string, options: BrowserContextOptions = {}): Promise<OpenPage> {
    const context = await this.#browser.newContext(options);
    context.setDefaultTimeout(60_000);
    const page = await context.newPage();
    const opened = new OpenPage(page);
    await page.goto(url);
    return opened;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#browser.close();
    await rm(this.#directory, { recursive: true, force: true });
  }
}

/** A page, and what went wrong in it. */
export class OpenPage implements AsyncDisposable {
  readonly page: Page;
  /** What the browser complains about: errors of scripts, and what the policy of the page forbids. */
  readonly complaints: string[] = [];
  readonly requested: string[] = [];
  /** How often it was loaded. */
  loads = 0;

  constructor(page: Page) {
    this.page = page;
    page.on('console', message => {
      if (['error', 'warning'].includes(message.type())) this.complaints.push(message.text());
    });
    page.on('pageerror', error => this.complaints.push(error.message));
    page.on('request', request => this.requested.push(request.url()));
    page.on('load', () => (this.loads += 1));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.page.context().close();
  }
}
