import { useEffect } from 'preact/hooks';
import { findings } from '../model/overview.ts';
import { useLiveState, useNow } from './live/hooks.ts';
import type { LiveStatus } from './live/live-status.ts';
import { Clients } from './parts/clients.tsx';
import { Connection } from './parts/connection.tsx';
import { Events } from './parts/events.tsx';
import { Guard } from './parts/guard.tsx';
import { Machinery } from './parts/machinery.tsx';
import { Overview } from './parts/overview.tsx';
import { Picture } from './parts/picture.tsx';
import { Tokens } from './parts/tokens.tsx';

/** The whole page. */
export function App({ live }: { readonly live: LiveStatus }) {
  const { status, connection, clockOffsetMillis } = useLiveState(live);
  const browserMillis = useNow();
  const nowMillis = browserMillis + clockOffsetMillis;
  const found = status && findings(status);
  useEffect(() => {
    const host = status?.hostname === undefined ? '' : ` on ${status.hostname}`;
    const mark = connection.kind === 'lost' ? '? ' : found?.[0].tone === 'bad' ? '! ' : '';
    document.title = `${mark}MSI Proxy${host}`;
  }, [status?.hostname, found?.[0].tone, connection.kind]);
  return (
    <>
      <a class="skip" href="#clients">
        Skip to the clients
      </a>
      <header class="bar">
        <p class="brand">
          <span class="logo" aria-hidden="true" />
          MSI Proxy
          {status?.hostname !== undefined && <span class="host">{status.hostname}</span>}
        </p>
        <Connection connection={connection} nowMillis={browserMillis} />
      </header>
      <main class={connection.kind === 'lost' ? 'stale' : undefined}>
        {status === undefined || found === undefined ? (
          <p class="empty">Waiting for the monitor …</p>
        ) : (
          <>
            <Overview findings={found} />
            <Picture status={status} />
            <Clients status={status} nowMillis={nowMillis} />
            <div class="cards">
              <Tokens status={status} nowMillis={nowMillis} />
              <Guard guard={status.guard} nowMillis={nowMillis} />
              <Machinery status={status} nowMillis={nowMillis} />
              <Events events={status.events} />
            </div>
          </>
        )}
      </main>
    </>
  );
}
