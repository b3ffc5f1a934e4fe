import { IMDS_ADDRESS, IMDS_PORT } from '@msi-proxy/shared';

/** What was read inside a client: all that forwarding rests on. */
export interface Observation {
  /** The account that read it; empty where it is not told. */
  readonly user: string;
  /** What the script before the reading had to change. */
  readonly changes: readonly string[];
  /** The first thing that failed. */
  readonly failure?: ScriptFailure;
  /** Of the interface that has the client's own address; absent when none has. */
  readonly interfaceIndex?: number;
  /** The entries of 169.254.169.254 that are in force. */
  readonly addresses: readonly AddressEntry[];
  readonly service: ServiceState;
  /** All rules of the port proxy, also those that are not ours. */
  readonly rules: readonly ForwardRule[];
  /** Local addresses on which something listens at port 80. */
  readonly listeners: readonly string[];
  /** What a request to 169.254.169.254 was answered; absent when there was no answer. */
  readonly answer?: ReadyAnswer;
}

export interface ScriptFailure {
  readonly step: string;
  /** In the language of the image, or a word of ours. */
  readonly message: string;
  /** PowerShell's name for it, the same in all languages. */
  readonly id: string;
}

export interface AddressEntry {
  readonly interfaceIndex: number;
  /** `localised`: a word that is not one of Windows' English ones. */
  readonly state: AddressState | 'localised';
  /** Absent where it cannot be read. */
  readonly prefixLength?: number;
  readonly skipAsSource?: boolean;
}

/** Windows' `AddressState` (learn.microsoft.com, Get-NetIPAddress). */
export type AddressState = 'Invalid' | 'Tentative' | 'Duplicate' | 'Deprecated' | 'Preferred';

/** `stopped`: there, but in any other state than running. */
export type ServiceState = 'running' | 'stopped' | 'absent';

export interface ForwardRule {
  readonly listenAddress: string;
  readonly listenPort: number;
  /** May be a name in rules of others. */
  readonly connectAddress: string;
  readonly connectPort: number;
}

export interface ReadyAnswer {
  readonly status: number;
  /** Empty when the answer is none of a proxy of ours. */
  readonly instanceId: string;
}

const ADDRESS_STATES: readonly AddressState[] = [
  'Invalid',
  'Tentative',
  'Duplicate',
  'Deprecated',
  'Preferred',
];

const RULE_ROW = /^\s*(\S+)\s+(\d+)\s+(\S+)\s+(\d+)\s*$/;

export function readAddressState(word: string): AddressEntry['state'] {
  return ADDRESS_STATES.find(state => state === word) ?? 'localised';
}

/** The rows of `netsh interface portproxy show v4tov4`; headings are localised, so that only the shape counts. */
export function readRules(lines: readonly string[]): ForwardRule[] {
  return lines.flatMap(line => {
    const row = RULE_ROW.exec(line);
    if (row === null) return [];
    const [, listenAddress = '', listenPort, connectAddress = '', connectPort] = row;
    return [
      { listenAddress, listenPort: Number(listenPort), connectAddress, connectPort: Number(connectPort) },
    ];
  });
}

/** The rule for the address of IMDS. */
export function ownRule({ rules }: Observation): ForwardRule | undefined {
  return rules.find(
    ({ listenAddress, listenPort }) => listenAddress === IMDS_ADDRESS && listenPort === IMDS_PORT,
  );
}
