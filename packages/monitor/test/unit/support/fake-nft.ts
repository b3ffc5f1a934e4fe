import type { CommandResult } from '@msi-proxy/shared';

interface Rule {
  readonly chain: string;
  readonly text: string;
}

/** Understands the batches that the product writes, and lists what came of them as `nft -j` does. */
export class FakeNft {
  #exists = false;
  #maps = new Map<string, string[]>();
  #chains: string[] = [];
  #rules: Rule[] = [];
  /** Grows with each batch, as the kernel's handles do. */
  #handle = 1;

  readonly respond = (command: string, stdin: string): Partial<CommandResult> | undefined => {
    if (command.startsWith('nft -j list table')) return this.#list();
    if (command === 'nft -f -' && stdin.startsWith('create') && this.#exists)
      return { exitCode: 1, stderr: 'Error: Could not process rule: File exists' };
    if (command === 'nft -f -') this.#load(stdin);
    return undefined;
  };

  /** Another program takes a rule out. */
  dropRule(comment: string): void {
    this.#rules = this.#rules.filter(({ text }) => !text.endsWith(`comment "${comment}"`));
  }

  get exists(): boolean {
    return this.#exists;
  }

  /** The line of the rule with this comment. */
  ruleText(comment: string): string {
    return this.#rules.find(({ text }) => text.endsWith(`comment "${comment}"`))?.text ?? '';
  }

  get elements(): readonly string[] {
    return [...this.#maps.values()].flat();
  }

  #load(batch: string): void {
    let chain = '';
    this.#handle += 100;
    for (const line of batch.split('\n').map(text => text.trim())) {
      const [verb, kind, name = '', ...rest] = line.split(' ');
      if (verb === 'delete') this.#clear();
      else if (verb === 'table') this.#exists = true;
      else if (verb === 'map') this.#maps.set(kind!, []);
      else if (verb === 'chain') this.#chains.push((chain = kind!));
      else if (verb === 'flush') this.#maps.set(rest[1]!, []);
      else if (verb === 'add' && kind === 'element')
        this.#maps.get(rest[1]!)?.push(rest.slice(3, -1).join(' '));
      else if (name !== '' && line.includes(' comment "')) this.#rules.push({ chain, text: line });
    }
  }

  #clear(): void {
    this.#exists = false;
    this.#maps = new Map();
    this.#chains = [];
    this.#rules = [];
  }

  #list(): Partial<CommandResult> {
    if (!this.#exists) return { exitCode: 1, stderr: 'Error: No such file or directory' };
    const nftables = [
      { metainfo: { version: '1.0.6' } },
      { table: { name: 'x' } },
      ...[...this.#maps].map(([name, elem]) => ({ map: { name, elem } })),
      ...this.#chains.map(name => ({ chain: { name, handle: this.#handle++ } })),
      ...this.#rules.map(({ chain, text }) => ({
        rule: { chain, comment: /comment "(.*)"$/.exec(text)?.[1], expr: [text], handle: this.#handle++ },
      })),
    ];
    return { stdout: JSON.stringify({ nftables }) };
  }
}
