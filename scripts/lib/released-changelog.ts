const UNRELEASED = '## Unreleased';

/**
 * The changelog when what is unreleased becomes a version.
 *
 * @param date as `YYYY-MM-DD`
 * @throws {Error} when nothing is unreleased, or the version is there already
 */
export function releasedChangelog(changelog: string, version: string, date: string): string {
  const lines = changelog.split('\n');
  const headings = lines.filter(line => line.startsWith('## '));
  if (headings.some(heading => heading.startsWith(`## ${version} `) || heading === `## ${version}`)) {
    throw new Error(`the changelog has version ${version} already`);
  }
  const start = lines.indexOf(UNRELEASED);
  if (start === -1 || headings[0] !== UNRELEASED) {
    throw new Error(`the changelog does not begin with "${UNRELEASED}"`);
  }
  const following = lines.findIndex((line, index) => index > start && line.startsWith('## '));
  const entries = lines.slice(start + 1, following === -1 ? undefined : following);
  if (!entries.some(line => line.startsWith('- '))) throw new Error('nothing is unreleased in the changelog');
  return lines.toSpliced(start + 1, 0, '', `## ${version} – ${date}`).join('\n');
}
