import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { buildImage, IMAGES, WINDOWS_IMAGES, type ImageSource } from '../../../scripts/lib/image-builder.ts';
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

  for (const [name, source] of Object.entries({ ...IMAGES, ...windowsNamed() })) {
    const { content } = source;
    if (!('entry' in content)) continue;
    it(`has the licences of the program and of what is bundled with it, for ${name}`, async () => {
      let licence = '';
      let notices = '';
      await buildImage(source, {
        docker: args => {
          if (args[0] === 'build') {
            licence = readFileSync(join(args.at(-1)!, 'LICENSE'), 'utf8');
            notices = readFileSync(join(args.at(-1)!, 'THIRD-PARTY-NOTICES'), 'utf8');
          }
          return Promise.resolve('1');
        },
      });
      assert.match(licence, /^MIT License/);
      assert.match(notices, /^winston \d/m);
      const dockerfile = readFileSync(join(repositoryRoot, source.dockerfile), 'utf8');
      assert.match(dockerfile, /^COPY LICENSE THIRD-PARTY-NOTICES /m);
    }).timeout(20_000);
  }
});

function windowsNamed(): Readonly<Record<string, ImageSource>> {
  return Object.fromEntries(
    Object.entries(WINDOWS_IMAGES).map(([name, source]) => [`${name} on Windows`, source]),
  );
}
