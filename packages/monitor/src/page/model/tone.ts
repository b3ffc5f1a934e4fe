import type { ClientState, EngineStatus, GuardStatus, ProxyState } from '@msi-proxy/shared';

/** How something is, for its colour. Its word says it too. */
export type Tone = 'ok' | 'wait' | 'bad' | 'off';

export const CLIENT_TONES: Readonly<Record<ClientState, Tone>> = {
  wired: 'ok',
  pending: 'wait',
  refused: 'bad',
  failed: 'bad',
};

export const PROXY_TONES: Readonly<Record<ProxyState, Tone>> = {
  serving: 'ok',
  standby: 'off',
  starting: 'wait',
  unhealthy: 'bad',
};

export const ENGINE_TONES: Readonly<Record<EngineStatus['state'], Tone>> = {
  connected: 'ok',
  connecting: 'wait',
  unresponsive: 'bad',
};

/** Nobody is stopped in audit mode, whatever the state. */
export function guardTone({ mode, state }: GuardStatus): Tone {
  if (state === 'not-in-place') return 'bad';
  return state === 'in-place' && mode === 'enforce' ? 'ok' : 'wait';
}
