import type { CommandResult } from '@msi-proxy/shared';

/** Understands the batches for `ip rule` that the product writes, and lists what came of them as `ip -json` does. */
export class FakePolicyRules {
  /** Each as it was added, in order of priority. */
  rules: string[] = [];
  /** As kernels before 4.17: what they do not know of a rule is left out. */
  isOld = false;
  /** Every line that was given to it. */
  readonly lines: string[] = [];

  readonly respond = (command: string, stdin: string): Partial<CommandResult> | undefined => {
    if (command === 'ip -4 -json rule show') return { stdout: this.#list() };
    if (!command.endsWith('-batch -')) return undefined;
    for (const line of stdin.split('\n').filter(text => text !== '')) this.#carryOut(line);
    return {};
  };

  #carryOut(line: string): void {
    this.lines.push(line);
    const [, verb, text = ''] = /^rule (add|delete) (.*)$/.exec(line) ?? [];
    const kept = this.isOld ? text.replaceAll(/ (?:protocol|ipproto|dport) \S+/g, '') : text;
    if (verb === 'delete') this.rules = this.rules.filter(rule => rule !== kept);
    else this.rules.push(kept);
    this.rules.sort((a, b) => priorityOf(a) - priorityOf(b));
  }

  #list(): string {
    const rules = this.rules.map(text => {
      const word = (name: string) => new RegExp(`\\b${name} (\\S+)`).exec(text)?.[1];
      const optional = (key: string, value: unknown) => (value === undefined ? {} : { [key]: value });
      const port = word('dport');
      const target = word('goto');
      return {
        priority: priorityOf(text),
        src: word('from') ?? 'all',
        ...optional('dst', word('to')),
        ...optional('iif', word('iif')),
        ...optional('fwmark', word('fwmark')),
        ...optional('ipproto', word('ipproto')),
        ...optional('dport', port === undefined ? undefined : Number(port)),
        ...(text.includes(' nop') && { nop: null }),
        ...optional('goto', target === undefined ? undefined : Number(target)),
        ...optional('action', /\b(?:blackhole|prohibit)\b/.exec(text)?.[0]),
        ...optional('protocol', word('protocol')),
      };
    });
    return JSON.stringify([{ priority: 0, src: 'all', table: 'local' }, ...rules]);
  }
}

function priorityOf(text: string): number {
  return Number(/priority (\d+)/.exec(text)?.[1]);
}
