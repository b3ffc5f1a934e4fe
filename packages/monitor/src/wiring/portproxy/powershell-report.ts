import { readAddressState, readRules, type AddressEntry, type Observation } from './observation.ts';
import { readAnswer } from './ready-request.ts';

/** The line before the report; also in scripts/observe.ps1.ts. */
const MARKER = 'msi-proxy-report';

/** Reads what the observing script printed; undefined when there is no report in it. */
export function parseReport(stdout: string): Observation | undefined {
  const start = stdout.lastIndexOf(MARKER);
  if (start < 0) return undefined;
  const text = stdout.slice(start + MARKER.length);
  // Compressed JSON has no line breaks of its own: those that are there came from a console that wraps.
  const json = text.slice(text.indexOf('{'), text.lastIndexOf('}') + 1).replaceAll(/[\r\n]/g, '');
  try {
    return readReport(JSON.parse(json) as Report);
  } catch {
    return undefined;
  }
}

/** As the script makes it, but not to be trusted: the program that ran may have been the image's own. */
type Report = Readonly<Record<string, unknown>>;

function readReport(report: Report): Observation {
  const interfaceIndex = numberOf(report['interfaceIndex']);
  const failedStep = textOf(report['failedStep']);
  const answer = readAnswer(textsOf(report['answer']).join('\n'));
  return {
    user: textOf(report['user']),
    changes: textsOf(report['changes']),
    ...(failedStep !== '' && {
      failure: { step: failedStep, message: textOf(report['failure']), id: textOf(report['failureId']) },
    }),
    ...(interfaceIndex > 0 && { interfaceIndex }),
    addresses: listOf(report['addresses']).map(readAddress),
    service: readService(textOf(report['service'])),
    rules: readRules(textsOf(report['rules'])),
    listeners: textsOf(report['listeners']),
    ...(answer && { answer }),
  };
}

function readAddress(entry: unknown): AddressEntry {
  const address = (typeof entry === 'object' && entry !== null ? entry : {}) as Report;
  return {
    interfaceIndex: numberOf(address['interfaceIndex']),
    state: readAddressState(textOf(address['state'])),
    prefixLength: numberOf(address['prefixLength']),
    skipAsSource: address['skipAsSource'] === true,
  };
}

function readService(status: string): Observation['service'] {
  if (status === '') return 'absent';
  return status === 'Running' ? 'running' : 'stopped';
}

/** Windows PowerShell writes a list of one as its element in some places, and a list that it has wrapped as an object. */
function listOf(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value;
  const wrapped = typeof value === 'object' && value !== null && 'value' in value ? value.value : undefined;
  if (Array.isArray(wrapped)) return wrapped;
  return value === null || value === undefined || value === '' ? [] : [value];
}

function textsOf(value: unknown): string[] {
  return listOf(value).map(textOf);
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

function numberOf(value: unknown): number {
  return typeof value === 'number' ? value : 0;
}
