import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { bundle, bundleProgram } from '../../../scripts/lib/bundle.ts';

describe('a bundled program', () => {
  let folder: string;
  before(() => (folder = mkdtempSync(join(tmpdir(), 'msi-proxy-bundle-'))));
  after(() => rmSync(folder, { recursive: true }));

  it('has no character beyond ASCII, which would take twice the memory', async () => {
    const file = join(folder, 'msi-monitor');
    await bundleProgram('msi-monitor', file);

    assert.doesNotMatch(readFileSync(file, 'utf8'), /[^\x00-\x7f]/);
  });

  it('means the same as its source, beyond ASCII too', async () => {
    const [source, file] = [join(folder, 'source.ts'), join(folder, 'bundled.mjs')];
    writeFileSync(
      source,
      [
        'const grün = "ü…\\u{1f600}😀";',
        '/* é */ export const seen = () => { /* … */ return [grün, `…${grün}`, grün.replace(/[^ü…]/gu, "x"), /^.😀$/.test("a😀")]; };',
      ].join('\n'),
    );
    await bundle(source, file);

    const { seen } = (await import(pathToFileURL(file).href)) as { seen: () => unknown };
    const own = (await import(pathToFileURL(source).href)) as { seen: () => unknown };
    assert.deepEqual(seen(), own.seen());
  });
});
