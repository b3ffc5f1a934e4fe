import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { buildImage, type ImageSource } from '../../../scripts/lib/image-builder.ts';
import { repositoryRoot } from '../../../scripts/lib/repository.ts';

describe('what an engine is given to build an image of', () => {
  let checkout: string;

  beforeEach(() => {
    checkout = mkdtempSync(join(tmpdir(), 'msi-proxy-checkout-'));
  });
  afterEach(() => rmSync(checkout, { recursive: true }));

  it('has scripts that every user of the image can run, whoever may read the checkout', async function () {
    if (process.platform === 'win32') this.skip();
    const script = join(checkout, 'run.sh');
    writeFileSync(script, '#!/bin/sh\n');
    chmodSync(script, 0o640);
    const source: ImageSource = {
      repository: 'example',
      dockerfile: 'images/client/Dockerfile',
      content: { file: relative(repositoryRoot, script) },
    };
    let mode: number | undefined;
    await buildImage(source, {
      docker: args => {
        if (args[0] === 'build') mode = statSync(join(args.at(-1)!, 'run.sh')).mode & 0o777;
        return Promise.resolve('1');
      },
    });
    assert.equal(mode, 0o755);
  });
});
