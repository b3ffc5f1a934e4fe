import assert from 'node:assert/strict';
import { releasedChangelog } from '../../../scripts/lib/released-changelog.ts';

const CHANGELOG = `# Changelog

Words.

## Unreleased

### Features

- a feature

## 0.1.0 – 2026-01-01

- the first
`;

describe('the changelog of a release', () => {
  it('has what was unreleased under the version, and a place for what comes next', () => {
    assert.equal(
      releasedChangelog(CHANGELOG, '0.2.0', '2026-02-03'),
      CHANGELOG.replace('## Unreleased\n', '## Unreleased\n\n## 0.2.0 – 2026-02-03\n'),
    );
  });

  it('is not made when there is nothing new, no place for it, or the version is there', () => {
    const empty = CHANGELOG.replace('- a feature\n', '');
    assert.throws(() => releasedChangelog(empty, '0.2.0', 'x'), /nothing is unreleased/);
    assert.throws(() => releasedChangelog('# Changelog\n', '0.2.0', 'x'), /does not begin/);
    assert.throws(() => releasedChangelog(CHANGELOG, '0.1.0', 'x'), /has version 0\.1\.0 already/);
    const released = releasedChangelog(CHANGELOG, '0.2.0', '2026-02-03');
    assert.throws(() => releasedChangelog(released, '0.3.0', 'x'), /nothing is unreleased/);
  });
});
