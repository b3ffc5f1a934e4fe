import { isIPv4, isIPv6 } from 'node:net';

/** Reads Node's flat list of header names and values. Repeats stay visible, unlike in `request.headers`. */
export class RequestHeaders {
  readonly #values = new Map<string, string[]>();

  constructor(rawHeaders: readonly string[]) {
    for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
      const name = rawHeaders[index]!.toLowerCase();
      const values = this.#values.get(name);
      if (values === undefined) this.#values.set(name, [rawHeaders[index + 1]!]);
      else values.push(rawHeaders[index + 1]!);
    }
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  all(name: string): readonly string[] {
    return this.#values.get(name) ?? [];
  }

  /** The value of a header that is there exactly once. */
  single(name: string): string | undefined {
    const values = this.all(name);
    return values.length === 1 ? values[0]!.trim() : undefined;
  }
}

/**
 * Whether a Host header can come from a client that meant us: an address, or a name without dots such as a container's.
 * A name with dots is one that somebody else's DNS may have pointed here (DNS rebinding).
 */
export function isOwnHost(host: string): boolean {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::\d{1,5})?$/.exec(host);
  const [, bracketed, plain] = match ?? [];
  if (bracketed !== undefined) return isIPv6(bracketed);
  return plain !== undefined && (isIPv4(plain) || /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/.test(plain));
}
