import type { ClientState, MonitorStatus, ProxyStatus } from '@msi-proxy/shared';
import { CLIENT_STATES, countStates } from './clients-view.ts';
import { guardTone, PROXY_TONES, type Tone } from './tone.ts';
import { counted, numberText, reasonText } from './words.ts';

/** Something in the picture. */
export interface Part {
  readonly title: string;
  readonly tone: Tone;
  readonly word: string;
  readonly detail: string;
}

export interface ProxyPart extends Part {
  readonly containerId: string;
}

/** A way in the picture: whether requests go there. */
export interface Way {
  readonly kind: 'open' | 'waiting' | 'shut' | 'unguarded';
  readonly label: string;
}

/** The VM as a picture. */
export interface PictureView {
  readonly vm: string;
  readonly clients: {
    readonly title: string;
    readonly counts: readonly { readonly state: ClientState; readonly count: string }[];
    /** One for each client; not more than can be told apart. */
    readonly dots: readonly ClientState[];
    readonly moreDots: number;
  };
  readonly proxies: readonly ProxyPart[];
  readonly imds: Part;
  readonly guard: Part;
  readonly clientsToProxy: Way;
  readonly proxyToImds: Way;
  readonly othersToImds: Way;
}

const MAX_DOTS = 144;
const MAX_PROXIES = 3;

export function pictureView(status: MonitorStatus): PictureView {
  const { proxies, clients, hostname } = status;
  const serving = proxies.find(({ state }) => state === 'serving');
  const counts = countStates(clients);
  const states = CLIENT_STATES.filter(state => counts[state] > 0);
  const dots = states.flatMap(state => Array<ClientState>(counts[state]).fill(state)).slice(0, MAX_DOTS);
  const methods = [
    ...new Set(clients.flatMap(({ state, method = '?' }) => (state === 'wired' ? [method] : []))),
  ];
  return {
    vm: hostname ?? 'This VM',
    clients: {
      title: counts.all === 0 ? 'No client yet' : counted(counts.all, 'client'),
      counts: states.map(state => ({ state, count: numberText(counts[state]) })),
      dots,
      moreDots: counts.all - dots.length,
    },
    proxies: proxyParts(proxies),
    imds: imdsPart(serving),
    guard: guardPart(status),
    clientsToProxy: {
      kind: serving === undefined ? 'waiting' : 'open',
      label: methods.length === 0 ? '' : `by ${methods.join(', ')}`,
    },
    proxyToImds: { kind: serving === undefined ? 'waiting' : 'open', label: '' },
    othersToImds: othersWay(status),
  };
}

function proxyParts(proxies: readonly ProxyStatus[]): ProxyPart[] {
  const order = ['serving', 'unhealthy', 'starting', 'standby'];
  return [...proxies]
    .sort((a, b) => order.indexOf(a.state) - order.indexOf(b.state) || a.name.localeCompare(b.name))
    .slice(0, MAX_PROXIES)
    .map(({ containerId, name, state, reason, address = '' }) => ({
      containerId,
      title: name,
      tone: PROXY_TONES[state],
      word: state,
      detail: reason ?? address,
    }));
}

function imdsPart(serving: ProxyStatus | undefined): Part {
  const title = 'Azure IMDS';
  const { state = 'unknown', lastError } = serving?.imds ?? {};
  if (serving === undefined || state === 'unknown')
    return { title, tone: 'off', word: 'not asked yet', detail: '169.254.169.254' };
  return state === 'failing'
    ? { title, tone: 'bad', word: 'failing', detail: lastError ?? '169.254.169.254' }
    : { title, tone: 'ok', word: 'answering', detail: '169.254.169.254' };
}

const GUARD_WORDS = {
  'in-place': 'in place',
  'not-in-place': 'not in place',
  off: 'off',
  unavailable: 'unavailable',
} as const;

function guardPart({ guard }: MonitorStatus): Part {
  const attempts = guard.stopped.reduce((sum, source) => sum + source.attempts, 0);
  const stopped = guard.mode === 'audit' ? 'would have stopped' : 'stopped';
  return {
    title: 'Guard',
    tone: guardTone(guard),
    word: guard.mode === 'audit' && guard.state === 'in-place' ? 'only counts' : GUARD_WORDS[guard.state],
    detail:
      guard.state === 'not-in-place' && guard.reason !== undefined
        ? reasonText(guard.reason)
        : attempts === 0
          ? `${stopped} nobody`
          : `${stopped} ${counted(attempts, 'attempt')}`,
  };
}

function othersWay({ guard }: MonitorStatus): Way {
  return guardTone(guard) === 'ok'
    ? { kind: 'shut', label: 'no way past the proxy' }
    : { kind: 'unguarded', label: 'the direct way is open' };
}
