import { spanText } from '../../../terminal/duration.ts';
import type { Connection as ConnectionState } from '../../model/live-state.ts';
import { Mark } from './badge.tsx';
import { Moment } from './moment.tsx';

interface ConnectionProps {
  readonly connection: ConnectionState;
  readonly nowMillis: number;
}

/** Whether what is shown is what is. */
export function Connection({ connection, nowMillis }: ConnectionProps) {
  return (
    <p class={`connection ${connection.kind}`} role="status">
      {connection.kind === 'live' && (
        <>
          <Mark tone="ok" /> Live
        </>
      )}
      {connection.kind === 'connecting' && (
        <>
          <Mark tone="wait" /> Connecting …
        </>
      )}
      {connection.kind === 'lost' && (
        <>
          <Mark tone="bad" />
          <span>
            Connection to the monitor lost since{' '}
            <Moment at={new Date(connection.sinceMillis).toISOString()} />
            {/* Said to nobody: it changes each second. */}
            <span aria-hidden="true"> ({spanText(nowMillis - connection.sinceMillis)})</span>; trying again
          </span>
        </>
      )}
    </p>
  );
}
