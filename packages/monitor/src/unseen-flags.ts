import type { LoadedSettings } from '@msi-proxy/shared';
import { MONITOR_SETTINGS } from './config.ts';

/** What other commands find the monitor and the engine by. */
const LOOKED_UP = ['listen', 'dockerHost'] as const;

/** Other commands, among them the one that the engine runs as the health check, do not see the flags of `run`. */
export function unseenFlags({ origins }: Pick<LoadedSettings<typeof MONITOR_SETTINGS>, 'origins'>): string[] {
  return LOOKED_UP.flatMap(name => {
    const origin = origins[name];
    const { env } = MONITOR_SETTINGS[name];
    return origin.kind === 'flag'
      ? [
          `${origin.name} is not seen by the other commands, such as status and doctor: use ${env} or the file`,
        ]
      : [];
  });
}
