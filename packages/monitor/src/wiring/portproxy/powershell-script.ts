import { isIPv4 } from 'node:net';
import { IMDS_ADDRESS, IMDS_PORT, INSTANCE_HEADER, MsiProxyError, READY_PATH } from '@msi-proxy/shared';
import { checkedEndpoint } from '../proxy-endpoint.ts';
import type { ProxyTarget } from '../wiring-method.ts';
import { APPLY_PS1 } from './scripts/apply.ps1.ts';
import { OBSERVE_PS1 } from './scripts/observe.ps1.ts';
import { PRELUDE_PS1 } from './scripts/prelude.ps1.ts';
import { REMOVE_PS1 } from './scripts/remove.ps1.ts';

/** Where a client is to be forwarded to, seen from the client. */
export type ForwardTarget = Pick<ProxyTarget, 'address' | 'port' | 'instanceId'>;

/** A row of `netsh interface portproxy show v4tov4`, whose headings are localised: address, port, address, port. */
const ANY_RULE = String.raw`^\s*\S+\s+\d+\s+\S+\s+\d+\s*$`;
const OWN_RULE = String.raw`^\s*${escapeRegExp(IMDS_ADDRESS)}\s+${IMDS_PORT}\s+\S+\s+\d+\s*$`;

/** Letters, digits and hyphens mean themselves in regular expressions and in quotes. */
const INSTANCE_ID = /^[0-9A-Za-z-]{1,64}$/;

/** Makes the forwarding true and prints what is there then. */
export function applyScript(clientAddress: string, target: ForwardTarget): string {
  const { address, port } = checkedEndpoint(target);
  const rule = String.raw`^\s*${escapeRegExp(IMDS_ADDRESS)}\s+${IMDS_PORT}\s+${escapeRegExp(address)}\s+${port}\s*$`;
  const parameters = assignments({
    ProxyAddress: address,
    ProxyPort: String(port),
    ProxyUri: `http://${address}:${port}${READY_PATH}`,
    OwnRule: OWN_RULE,
    WantedRule: rule,
    WantedAnswer: String.raw`^${INSTANCE_HEADER}:\s*${checkedInstanceId(target.instanceId)}\s*$`,
  });
  return joined(commonParameters(clientAddress), parameters, PRELUDE_PS1, APPLY_PS1, OBSERVE_PS1);
}

/** Takes the forwarding away and prints what is left. */
export function removeScript(clientAddress: string): string {
  return joined(
    commonParameters(clientAddress),
    assignments({ OwnRule: OWN_RULE }),
    PRELUDE_PS1,
    REMOVE_PS1,
    OBSERVE_PS1,
  );
}

/**
 * The command line for a script, in the form that needs no quoting: UTF-16LE in Base64
 * (learn.microsoft.com, "about_PowerShell_exe"). `Text`, because what goes to standard error would be XML otherwise.
 */
export function powershellArgv(script: string): string[] {
  return [
    'powershell',
    '-NoLogo',
    '-NoProfile',
    '-NonInteractive',
    '-ExecutionPolicy',
    'Bypass',
    '-OutputFormat',
    'Text',
    '-EncodedCommand',
    Buffer.from(script, 'utf16le').toString('base64'),
  ];
}

function commonParameters(clientAddress: string): string {
  if (!isIPv4(clientAddress)) throw unusable('address of a client', clientAddress);
  return assignments({
    ClientAddress: clientAddress,
    ImdsAddress: IMDS_ADDRESS,
    ImdsUri: `http://${IMDS_ADDRESS}:${IMDS_PORT}${READY_PATH}`,
    AnyRule: ANY_RULE,
    AnswerHead: `^(HTTP/|${INSTANCE_HEADER}:)`,
  });
}

function assignments(values: Readonly<Record<string, string>>): string {
  return Object.entries(values)
    .map(([name, value]) => `$${name} = '${value.replaceAll("'", "''")}'`)
    .join('\n');
}

/** Without comments and indentation: a command line of Windows ends after 32,767 characters. */
function joined(...parts: readonly string[]): string {
  const lines = parts.flatMap(part => part.split('\n')).map(line => line.trim());
  return lines.filter(line => line !== '' && !line.startsWith('#')).join('\n');
}

function checkedInstanceId(instanceId: string): string {
  if (INSTANCE_ID.test(instanceId)) return instanceId;
  throw unusable('instance id of a proxy', instanceId);
}

function escapeRegExp(text: string): string {
  return text.replaceAll('.', String.raw`\.`);
}

function unusable(what: string, value: string): MsiProxyError {
  return new MsiProxyError('MSI_INTERNAL', `${JSON.stringify(value)} is not the ${what}`);
}
