import { isIPv4 } from 'node:net';

/** An active route, as `route print -4` shows it. */
export interface WindowsRoute {
  readonly destination: string;
  readonly netmask: string;
  /** `undefined`: on-link. */
  readonly gateway: string | undefined;
  /** This machine's own address on the interface. */
  readonly interfaceAddress: string;
  readonly metric: number;
}

/**
 * Reads what `route print -4` prints. Headings and `On-link` are localised, `Auf Verbindung` even with a space, and come in
 * the console's code page; so rows are told by their shape. Active routes end with an address and a number. Persistent
 * ones, which may be other containers', have no interface and so do not match.
 */
export function readRouteTable(text: string): WindowsRoute[] {
  return text.split(/\r?\n/).flatMap(line => {
    const row = /^\s*([\d.]+)\s+([\d.]+)\s+(\S.*?)\s+([\d.]+)\s+(\d+)\s*$/.exec(line);
    if (row === null) return [];
    const [destination, netmask, next, interfaceAddress] = row.slice(1, 5) as [
      string,
      string,
      string,
      string,
    ];
    if (![destination, netmask, interfaceAddress].every(isIPv4)) return [];
    const gateway = isIPv4(next) ? next : undefined;
    return [{ destination, netmask, gateway, interfaceAddress, metric: Number(row[5]) }];
  });
}

/** The routes to exactly this destination, the one that Windows uses first. */
export function routesTo(
  table: readonly WindowsRoute[],
  destination: string,
  netmask: string,
): readonly WindowsRoute[] {
  return table
    .filter(route => route.destination === destination && route.netmask === netmask)
    .sort((a, b) => a.metric - b.metric);
}
