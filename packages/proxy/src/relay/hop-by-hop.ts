/** Headers that belong to one connection and are not passed on (RFC 9110, 7.6.1). */
const HOP_BY_HOP = [
  'connection',
  'http2-settings', // RFC 7540, 3.2.1
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
];

/** The names, in lower case, that must not be passed on: the fixed ones and those that `Connection` lists. */
export function hopByHopNames(connection: string | undefined): ReadonlySet<string> {
  const listed = connection?.split(',').map(name => name.trim().toLowerCase()) ?? [];
  return new Set([...HOP_BY_HOP, ...listed]);
}

/** Node's flat list of header names and values without the given names. */
export function withoutHeaders(rawHeaders: readonly string[], names: ReadonlySet<string>): string[] {
  const kept: string[] = [];
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    if (!names.has(rawHeaders[index]!.toLowerCase())) kept.push(rawHeaders[index]!, rawHeaders[index + 1]!);
  }
  return kept;
}
