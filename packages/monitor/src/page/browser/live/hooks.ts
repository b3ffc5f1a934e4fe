import { useEffect, useState } from 'preact/hooks';
import type { LiveState } from '../../model/live-state.ts';
import type { LiveStatus } from './live-status.ts';

export function useLiveState(live: LiveStatus): LiveState {
  const [state, setState] = useState(live.state);
  useEffect(() => live.watch(() => setState(live.state)), [live]);
  return state;
}

const TICK_MILLIS = 1_000;

/** The browser's clock, told each second. */
export function useNow(): number {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), TICK_MILLIS);
    return () => clearInterval(timer);
  }, []);
  return now;
}
