import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PACKAGES } from '../../../scripts/lib/built-files.ts';
import { repositoryRoot } from '../../../scripts/lib/repository.ts';

interface Manifest {
  readonly repository?: unknown;
  readonly publishConfig?: { readonly access?: string; readonly provenance?: boolean };
}

describe('the manifest of a package', () => {
  for (const folder of PACKAGES) {
    const text = readFileSync(join(repositoryRoot, folder, 'package.json'), 'utf8');
    const { repository, publishConfig } = JSON.parse(text) as Manifest;

    it(`lets ${folder} be published by hand, as docs/releasing.md has it`, () => {
      assert.equal(publishConfig?.access, 'public');
      // npm proves where a package comes from only for a job of a hosted repository, and otherwise refuses to publish.
      assert.ok(
        publishConfig.provenance !== true || repository !== undefined,
        'provenance without repository',
      );
    });
  }
});
