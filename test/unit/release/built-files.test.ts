import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import {
  buildDifference,
  builtFiles,
  compiledFiles,
  completeBuild,
} from '../../../scripts/lib/built-files.ts';

describe('what is built of a package', () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'msi-proxy-built-'));
    make('tsconfig.json', '{ "include": ["src"], "exclude": ["src/page/browser"] }');
    for (const file of [
      'src/index.ts',
      'src/page/text.ts',
      'src/page/assets.d.ts',
      'src/page/browser/main.ts',
    ])
      make(file);
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  function make(path: string, text = ''): void {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }

  it('follows from its sources, without those that are compiled elsewhere', () => {
    assert.deepEqual(
      compiledFiles(folder).filter(path => !path.endsWith('.map')),
      ['dist/index.js', 'dist/index.d.ts', 'dist/page/text.js', 'dist/page/text.d.ts'],
    );
  });

  it('goes when its source has gone, and what the compiler remembers stays', () => {
    const expected = compiledFiles(folder);
    for (const file of [...expected, 'dist/gone.js', 'dist/old/gone.d.ts', 'dist/.tsbuildinfo-test'])
      make(file);
    assert.deepEqual(buildDifference(folder, expected).stale.toSorted(), [
      'dist/gone.js',
      'dist/old/gone.d.ts',
    ]);

    completeBuild(folder, expected);

    assert.deepEqual(buildDifference(folder, expected), { missing: [], stale: [] });
    assert.ok(readdirSync(join(folder, 'dist')).includes('.tsbuildinfo-test'));
  });

  it('has to be there', () => {
    make('dist/index.js');
    assert.throws(
      () => completeBuild(folder, ['dist/index.js', 'dist/bundle/a.mjs']),
      /lacks dist\/bundle\/a\.mjs/,
    );
  });

  it('is also the bundle, the list of contents and the page', () => {
    const ofMonitor = builtFiles('packages/monitor');
    for (const file of [
      'dist/main.js',
      'dist/page/assets.js',
      'dist/bundle/msi-monitor.mjs',
      'dist/sbom.cdx.json',
    ])
      assert.ok(ofMonitor.includes(file), file);
    assert.ok(!builtFiles('packages/shared').some(file => file.includes('bundle')));
  });
});
