import type { CommandResult, CommandRunner } from '@msi-proxy/shared';

/** Gateway `undefined`: on-link. */
export interface FakeWindowsRoute {
  readonly destination: string;
  readonly netmask: string;
  readonly gateway?: string;
  readonly interfaceAddress: string;
  readonly metric: number;
}

/** The words of `route print -4` on Windows of that language. */
const WORDS = {
  en: {
    table: 'IPv4 Route Table',
    active: 'Active Routes:',
    columns: 'Network Destination        Netmask          Gateway       Interface  Metric',
    onLink: 'On-link',
    persistent: 'Persistent Routes:',
    persistentColumns: '  Network Address          Netmask  Gateway Address  Metric',
    persistentMetric: 'Default',
    ok: ' OK!',
    elevation: 'The requested operation requires elevation.',
  },
  de: {
    table: 'IPv4-Routentabelle',
    active: 'Aktive Routen:',
    columns: '     Netzwerkziel    Netzwerkmaske          Gateway    Schnittstelle Metrik',
    onLink: 'Auf Verbindung',
    persistent: 'Ständige Routen:',
    persistentColumns: '  Netzwerkadresse          Netzmaske  Gatewayadresse  Metrik',
    persistentMetric: 'Standard',
    ok: ' OK!',
    elevation: 'Der angeforderte Vorgang erfordert erhöhte Rechte.',
  },
  ja: {
    table: 'IPv4 ルート テーブル',
    active: 'アクティブ ルート:',
    columns: 'ネットワーク宛先        ネットマスク          ゲートウェイ       インターフェイス  メトリック',
    onLink: 'リンク上',
    persistent: '固定ルート:',
    persistentColumns: '  ネットワーク アドレス          ネットマスク  ゲートウェイ アドレス  メトリック',
    persistentMetric: '既定',
    ok: ' OK!',
    elevation: '要求された操作には管理者特権が必要です。',
  },
} as const;

export type WindowsLanguage = keyof typeof WORDS;

export interface FakeWindowsOptions {
  readonly routes: readonly FakeWindowsRoute[];
  readonly language?: WindowsLanguage;
}

const RULE = '='.repeat(75);

/** `route` of Windows on a routing table in memory. */
export class FakeWindowsRoutes implements CommandRunner {
  routes: FakeWindowsRoute[];
  /** Commands that change something. */
  readonly writes: string[] = [];
  /** Whether the user is ContainerUser. */
  isUnprivileged = false;
  readonly #language: WindowsLanguage;

  constructor({ routes, language = 'en' }: FakeWindowsOptions) {
    this.routes = [...routes];
    this.#language = language;
  }

  async run(file: string, argv: readonly string[]): Promise<CommandResult> {
    await Promise.resolve();
    const command = [file, ...argv].join(' ');
    if (command === 'route print -4') return said(inConsoleCodePage(this.#print()));
    this.writes.push(command);
    const words = WORDS[this.#language];
    // With exit code 0, as some builds have it.
    if (this.isUnprivileged) return said(inConsoleCodePage(words.elevation));
    const add = /^route add (\S+) mask (\S+) (\S+) metric (\d+)$/.exec(command);
    const remove = /^route delete (\S+) mask (\S+) (\S+)$/.exec(command);
    const [, destination = '', netmask = '', gateway = '', metric] = add ?? remove ?? [];
    if (add !== null) this.#add({ destination, netmask, gateway, metric: Number(metric) });
    else if (remove !== null) {
      this.routes = this.routes.filter(
        route => route.destination !== destination || route.netmask !== netmask || route.gateway !== gateway,
      );
    } else throw new Error(`an unexpected command: ${command}`);
    return said(words.ok);
  }

  /** Windows takes the interface whose network the gateway is in; /16 here. */
  #add(route: Pick<FakeWindowsRoute, 'destination' | 'netmask' | 'metric'> & { readonly gateway: string }) {
    const network = (address: string) => address.split('.', 2).join('.');
    const link = this.routes.find(
      ({ gateway, interfaceAddress }) =>
        gateway === undefined && network(interfaceAddress) === network(route.gateway),
    );
    if (link !== undefined) this.routes.push({ ...route, interfaceAddress: link.interfaceAddress });
  }

  #print(): string {
    const words = WORDS[this.#language];
    const rows = this.routes.map(
      ({ destination, netmask, gateway = words.onLink, interfaceAddress, metric }) =>
        `${destination.padStart(17)} ${netmask.padStart(16)} ${gateway.padStart(16)} ${interfaceAddress.padStart(16)} ${String(metric).padStart(6)}`,
    );
    // Of another container, as it was seen: never to be taken for a route of this one.
    const leaked = `  169.254.169.254  255.255.255.255     172.30.0.1  ${words.persistentMetric}`;
    return [
      RULE,
      'Interface List',
      ' 23...........................Software Loopback Interface 2',
      ' 24...00 15 5d d6 66 3d ......Hyper-V Virtual Ethernet Adapter #3',
      RULE,
      '',
      words.table,
      RULE,
      words.active,
      words.columns,
      ...rows,
      RULE,
      words.persistent,
      words.persistentColumns,
      leaked,
      RULE,
      '',
    ].join('\r\n');
  }
}

/** What is left of localised text when bytes of a console's code page are read as UTF-8. */
export function inConsoleCodePage(text: string): string {
  return text.replace(/[^\0-\x7f]/g, '\u{fffd}');
}

function said(stdout: string): CommandResult {
  return { exitCode: 0, stdout, stderr: '' };
}
