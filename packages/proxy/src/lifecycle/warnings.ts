import type { EventEmitter } from 'node:events';
import { codeOf } from '@msi-proxy/shared';

/** The event `warning` of `process`, whose listener prints warnings unless Node was told otherwise. */
export type WarningSource = Pick<EventEmitter, 'listeners' | 'on' | 'removeListener'>;

/** Keeps warnings of one code, such as `DEP0060`, from those who listen by now. All others reach them as before. */
export function muteWarning(source: WarningSource, code: string): void {
  for (const listener of source.listeners('warning') as ((warning: Error) => void)[]) {
    source.removeListener('warning', listener);
    source.on('warning', (warning: Error) => {
      if (codeOf(warning) !== code) listener(warning);
    });
  }
}
