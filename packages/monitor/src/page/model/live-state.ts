import type { MonitorStatus } from '@msi-proxy/shared';
import { applyChanges, type StatusChanges } from './live-message.ts';

/** Whether what is shown is what is. */
export type Connection =
  | { readonly kind: 'connecting' }
  | { readonly kind: 'live' }
  /** By the browser's clock. */
  | { readonly kind: 'lost'; readonly sinceMillis: number };

export interface LiveState {
  /** The last that was heard. */
  readonly status: MonitorStatus | undefined;
  readonly connection: Connection;
  /** The monitor's clock less the browser's. */
  readonly clockOffsetMillis: number;
}

export type LiveInput =
  | { readonly kind: 'status'; readonly status: MonitorStatus }
  | { readonly kind: 'changes'; readonly changes: StatusChanges }
  | { readonly kind: 'beat'; readonly nowMillis: number }
  /** The stream has ended, or has been silent for too long. */
  | { readonly kind: 'lost' };

export const NOT_HEARD_YET: LiveState = {
  status: undefined,
  connection: { kind: 'connecting' },
  clockOffsetMillis: 0,
};

/** @param atMillis the browser's clock */
export function nextLiveState(state: LiveState, input: LiveInput, atMillis: number): LiveState {
  switch (input.kind) {
    case 'status':
      return { ...state, status: input.status, connection: { kind: 'live' } };
    case 'changes':
      // Without a status there is nothing that it could change: the whole one comes first.
      return state.status === undefined
        ? state
        : { ...state, status: applyChanges(state.status, input.changes), connection: { kind: 'live' } };
    case 'beat':
      return { ...state, clockOffsetMillis: input.nowMillis - atMillis };
    case 'lost':
      return state.connection.kind === 'lost'
        ? state
        : { ...state, connection: { kind: 'lost', sinceMillis: atMillis } };
  }
}
