import type { MonitorStatus } from '@msi-proxy/shared';
import type { StatusChanges } from '../model/live-message.ts';

/**
 * Finds what a status has changed, as text that is made once for all who listen. A VM has thousands of clients at most, of
 * which few change in a second.
 */
export class StatusDiffer {
  #sections = new Map<string, string>();
  #clients = new Map<string, string>();

  /** The status that was looked at last, as JSON. */
  get whole(): string {
    const sections = [...this.#sections].map(([name, text]) => `${JSON.stringify(name)}:${text}`);
    return `{${[...sections, `"clients":[${[...this.#clients.values()].join(',')}]`].join(',')}}`;
  }

  /** @returns what differs from the last one, as the JSON of {@link StatusChanges}; `undefined` when nothing does */
  next({ clients, ...rest }: MonitorStatus): string | undefined {
    const sections = new Map(Object.entries(rest).map(([name, value]) => [name, JSON.stringify(value)]));
    const texts = new Map(clients.map(client => [client.containerId, JSON.stringify(client)]));
    const newSections = changed(this.#sections, sections);
    const changes = {
      sections: [
        ...newSections.map(name => `${JSON.stringify(name)}:${sections.get(name)!}`),
        ...missing(this.#sections, sections).map(name => `${JSON.stringify(name)}:null`),
      ],
      clients: changed(this.#clients, texts).map(id => texts.get(id)!),
      gone: missing(this.#clients, texts).map(id => JSON.stringify(id)),
    } satisfies Record<keyof StatusChanges, string[]>;
    this.#sections = sections;
    this.#clients = texts;
    if (Object.values(changes).every(part => part.length === 0)) return undefined;
    return `{"sections":{${changes.sections.join(',')}},"clients":[${changes.clients.join(',')}],"gone":[${changes.gone.join(',')}]}`;
  }
}

function changed(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): string[] {
  return [...after].filter(([key, text]) => before.get(key) !== text).map(([key]) => key);
}

function missing(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): string[] {
  return [...before.keys()].filter(key => !after.has(key));
}
