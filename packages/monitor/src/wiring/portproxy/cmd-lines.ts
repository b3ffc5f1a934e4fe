import { IMDS_ADDRESS, IMDS_PORT } from '@msi-proxy/shared';
import { checkedEndpoint, type ProxyEndpoint } from '../proxy-endpoint.ts';

const LISTEN = `listenport=${IMDS_PORT} listenaddress=${IMDS_ADDRESS}`;

export const SHOW_RULES = 'netsh interface portproxy show v4tov4';

/** Only the rule of the product: `reset` would take those of others too. */
export const DELETE_RULE = `netsh interface portproxy delete v4tov4 ${LISTEN} protocol=tcp`;

/** @param verb `set` changes the rule or adds it */
export function ruleTo(endpoint: ProxyEndpoint, verb: 'set' | 'add'): string {
  const { address, port } = checkedEndpoint(endpoint);
  const connect = `connectport=${port} connectaddress=${address}`;
  return `netsh interface portproxy ${verb} v4tov4 ${LISTEN} ${connect} protocol=tcp`;
}

/**
 * One round trip for several commands. `&` and not `&&`, since the exit codes of netsh differ between versions
 * (protocol.md 4.2): what counts is what is read back.
 */
export function cmdArgv(lines: readonly string[]): string[] {
  // With /s, what follows /c is taken as it is; with /d, no settings of the image are run before it.
  return ['cmd', '/d', '/s', '/c', lines.join('&')];
}
