import { localCommandRunner } from '@msi-proxy/shared';

const TOOLS = [
  ['nft', '--version'],
  ['iptables', '--version'],
  ['conntrack', '--version'],
  ['ip', '-Version'],
] as const;

/** Skips a suite, with the reason, where network namespaces cannot be made. */
export async function skipUnlessNamespaces(context: Mocha.Context): Promise<void> {
  const missing: string[] = process.getuid?.() === 0 ? [] : ['root'];
  for (const [tool, option] of TOOLS) {
    await localCommandRunner.run(tool, [option]).catch(() => missing.push(tool));
  }
  if (missing.length === 0) return;
  console.log(`    skipped: needs ${missing.join(', ')}`);
  context.skip();
}
