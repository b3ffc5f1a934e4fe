import { IMDS_ADDRESS, IMDS_PORT } from '@msi-proxy/shared';
import {
  readAddressState,
  readRules,
  type AddressEntry,
  type Observation,
  type ServiceState,
} from './observation.ts';

/** What is printed before the output of each command, to tell them apart. */
export const SECTIONS = ['user', 'addresses', 'service', 'rules', 'listeners'] as const;

export type Section = (typeof SECTIONS)[number];

export function markerOf(section: Section): string {
  return `msi-proxy-${section}`;
}

/** Reads the output of the commands that observe. Only shapes count: words are in the language of the image. */
export function readObservation(stdout: string, clientAddress: string): Observation {
  const sections = splitSections(stdout);
  const rows = readAddressRows(sections.addresses);
  const own = rows.find(({ address }) => address === clientAddress);
  return {
    user: sections.user[0]?.trim() ?? '',
    changes: [],
    // Every container has at least 127.0.0.1.
    ...(rows.length === 0 && { failure: { step: 'addresses', message: 'no-netsh', id: '' } }),
    ...(own && { interfaceIndex: own.entry.interfaceIndex }),
    addresses: rows.filter(({ address }) => address === IMDS_ADDRESS).map(({ entry }) => entry),
    service: readService(sections.service),
    rules: readRules(sections.rules),
    listeners: readListeners(sections.listeners),
  };
}

function splitSections(stdout: string): Readonly<Record<Section, readonly string[]>> {
  const sections = Object.fromEntries(SECTIONS.map(section => [section, [] as string[]]));
  let current: string[] = [];
  for (const line of stdout.split(/\r?\n/)) {
    const section = SECTIONS.find(name => line.trim() === markerOf(name));
    if (section !== undefined) current = sections[section]!;
    else if (line.trim() !== '') current.push(line);
  }
  return sections as Record<Section, string[]>;
}

/**
 * The rows of `netsh interface ipv4 show ipaddresses`: under a heading with the index of the interface and a colon, one
 * row an address with its type, its state, two lifetimes and itself.
 */
function readAddressRows(
  lines: readonly string[],
): { readonly address: string; readonly entry: AddressEntry }[] {
  let interfaceIndex = 0;
  return lines.flatMap(line => {
    const address = /\s(\d+(?:\.\d+){3})\s*$/.exec(line)?.[1];
    if (address === undefined) {
      const heading = /(?:^|\s)(\d+): /.exec(line)?.[1];
      if (heading !== undefined) interfaceIndex = Number(heading);
      return [];
    }
    const [, state = ''] = line.trim().split(/\s+/);
    return [{ address, entry: { interfaceIndex, state: readAddressState(state) } }];
  });
}

/** `sc query`: after the name, a row for the type and one for the state, of which 4 is running. */
function readService(lines: readonly string[]): ServiceState {
  const numbers = lines.flatMap(line => /^\s+\S.*?:\s+([0-9a-f]+)\b/i.exec(line)?.[1] ?? []);
  const [, state] = numbers;
  if (state === undefined) return 'absent';
  return state === '4' ? 'running' : 'stopped';
}

/** The rows of `netstat -ano -p tcp` whose other end is no port: those listen. */
function readListeners(lines: readonly string[]): string[] {
  return lines.flatMap(line => {
    const [protocol, local = '', remote = ''] = line.trim().split(/\s+/);
    const port = `:${IMDS_PORT}`;
    const listens = protocol === 'TCP' && local.endsWith(port) && remote.endsWith(':0');
    return listens ? [local.slice(0, -port.length)] : [];
  });
}
