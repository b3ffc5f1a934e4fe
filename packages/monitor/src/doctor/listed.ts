const MAX_LISTED = 10;

/** Some of the texts, and how many more there are. */
export function listed(texts: readonly string[], separator = ', '): string {
  const shown = texts.slice(0, MAX_LISTED).join(separator);
  return texts.length > MAX_LISTED ? `${shown}${separator}and ${texts.length - MAX_LISTED} more` : shown;
}
