import type { ClientStatus, MonitorStatus } from '@msi-proxy/shared';
import { guardTone, type Tone } from './tone.ts';
import { counted } from './words.ts';

/** One thing that somebody should know, in a sentence. */
export interface Finding {
  readonly tone: Tone;
  readonly text: string;
}

/** How the VM is: the most important finding first. Never empty. */
export function findings(status: MonitorStatus): readonly [Finding, ...Finding[]] {
  const found = [
    ...engineFindings(status),
    ...proxyFindings(status),
    ...guardFindings(status),
    ...clientFindings(status.clients),
  ];
  const [first, ...others] = [...found.filter(({ tone }) => tone === 'bad'), ...found.filter(isNotBad)];
  return first === undefined ? [allIsWell(status)] : [first, ...others];
}

function isNotBad({ tone }: Finding): boolean {
  return tone !== 'bad';
}

function engineFindings({ engine: { state, lastError } }: MonitorStatus): Finding[] {
  if (state === 'connected') return [];
  const why = lastError === undefined ? '' : ` (${lastError})`;
  return state === 'connecting'
    ? [{ tone: 'wait', text: `The Docker engine is not followed yet${why}.` }]
    : [{ tone: 'bad', text: `The Docker engine does not answer${why}. Wiring stays as it is.` }];
}

function proxyFindings({ proxies, clients }: MonitorStatus): Finding[] {
  const serving = proxies.find(({ state }) => state === 'serving');
  if (serving === undefined) {
    const what = proxies.length === 0 ? 'There is no proxy' : 'No proxy serves';
    const waiting = clients.filter(({ state }) => state !== 'refused').length;
    const who = waiting === 0 ? '' : `: ${waiting === 1 ? 'one client waits' : `${waiting} clients wait`}`;
    return [{ tone: 'bad', text: `${what}${who}.` }];
  }
  if (serving.imds?.state !== 'failing') return [];
  const why = serving.imds.lastError === undefined ? '' : ` (${serving.imds.lastError})`;
  return [{ tone: 'bad', text: `IMDS does not answer the proxy${why}.` }];
}

function guardFindings({ guard }: MonitorStatus): Finding[] {
  const tone = guardTone(guard);
  const why = guard.reason === undefined ? '' : ` ${guard.reason}`;
  if (guard.state === 'not-in-place')
    return [{ tone, text: `The guard is not in place: the direct way to IMDS may be open.${why}` }];
  if (guard.state === 'unavailable')
    return [{ tone, text: 'There is no guard: nobody is kept from going to IMDS past the proxy.' }];
  if (guard.mode === 'off' || guard.state === 'off')
    return [{ tone, text: 'The guard is off: the direct way to IMDS is open.' }];
  if (guard.mode === 'audit') return [{ tone, text: 'The guard only counts: it stops nobody.' }];
  return [];
}

function clientFindings(clients: readonly ClientStatus[]): Finding[] {
  const of = (wanted: ClientStatus['state']) => clients.filter(({ state }) => state === wanted).length;
  const all = clients.length;
  const some = (count: number, one: string, many: string) =>
    `${count} of ${counted(all, 'client')} ${count === 1 ? one : many}.`;
  const [failed, refused, pending] = [of('failed'), of('refused'), of('pending')];
  return [
    ...(failed > 0
      ? [{ tone: 'bad' as const, text: some(failed, 'could not be wired', 'could not be wired') }]
      : []),
    ...(refused > 0 ? [{ tone: 'bad' as const, text: some(refused, 'is refused', 'are refused') }] : []),
    ...(pending > 0 ? [{ tone: 'wait' as const, text: some(pending, 'waits', 'wait') }] : []),
  ];
}

function allIsWell({ clients }: MonitorStatus): Finding {
  switch (clients.length) {
    case 0:
      return { tone: 'ok', text: 'Ready for clients.' };
    case 1:
      return { tone: 'ok', text: 'The one client is served.' };
    default:
      return { tone: 'ok', text: `All ${counted(clients.length, 'client')} are served.` };
  }
}
