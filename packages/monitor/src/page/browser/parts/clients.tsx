import type { ClientState, MonitorStatus } from '@msi-proxy/shared';
import { useState } from 'preact/hooks';
import { CLIENT_STATES, clientsView } from '../../model/clients-view.ts';
import { CLIENT_TONES } from '../../model/tone.ts';
import { counted, numberText } from '../../model/words.ts';
import { Mark } from './badge.tsx';
import { ClientRows } from './client-row.tsx';
import { Section } from './section.tsx';

interface ClientsProps {
  readonly status: MonitorStatus;
  readonly nowMillis: number;
}

/** A browser shows some hundred rows at once without effort. */
const PAGE_LENGTH = 100;

const COLUMNS = ['Client', 'State', 'Wired by', 'May have', 'Requests', 'Tokens'];

/** A row for each client: those that need somebody first. */
export function Clients({ status, nowMillis }: ClientsProps) {
  const [text, setText] = useState('');
  const [state, setState] = useState<ClientState | 'all'>('all');
  const [limit, setLimit] = useState(PAGE_LENGTH);
  const { rows, more, matching, counts } = clientsView(status, { text, state }, { limit, nowMillis });
  const isFiltered = text.trim() !== '' || state !== 'all';
  return (
    <Section
      id="clients"
      title="Clients"
      class="wide"
      aside={
        <form class="filter" role="search" onSubmit={event => event.preventDefault()}>
          <fieldset>
            <legend class="unseen">Show only clients in this state</legend>
            {(['all', ...CLIENT_STATES] as const)
              .filter(each => each === 'all' || each === state || counts[each] > 0)
              .map(each => (
                <button
                  key={each}
                  type="button"
                  aria-pressed={state === each ? 'true' : 'false'}
                  onClick={() => setState(each)}
                >
                  {each !== 'all' && <Mark tone={CLIENT_TONES[each]} />}
                  {each} <b>{numberText(counts[each])}</b>
                </button>
              ))}
          </fieldset>
          <input
            type="search"
            aria-label="Filter clients by name, image, id, address or state"
            placeholder="Filter by name, image, id …"
            autoComplete="off"
            spellcheck={false}
            value={text}
            onInput={event => setText(event.currentTarget.value)}
          />
        </form>
      }
    >
      <p class="unseen" role="status">
        {isFiltered ? `${counted(matching, 'client')} shown` : ''}
      </p>
      {rows.length === 0 ? (
        <p class="empty">
          {isFiltered ? 'No client matches.' : 'Containers with the label MSIClientContainer appear here.'}
        </p>
      ) : (
        <table class="clients" role="table">
          <caption class="unseen">Clients of the proxy, those that need attention first</caption>
          <thead role="rowgroup">
            <tr role="row">
              {COLUMNS.map(column => (
                <th key={column} scope="col" role="columnheader">
                  {column}
                </th>
              ))}
            </tr>
          </thead>
          <tbody role="rowgroup">
            {rows.map(row => (
              <ClientRows key={row.containerId} row={row} />
            ))}
          </tbody>
        </table>
      )}
      {more > 0 && (
        <button type="button" class="more" onClick={() => setLimit(limit + PAGE_LENGTH)}>
          Show more <span class="muted">({numberText(more)} not shown)</span>
        </button>
      )}
    </Section>
  );
}
