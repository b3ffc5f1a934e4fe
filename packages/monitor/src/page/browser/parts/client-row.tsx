import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import type { ClientRow } from '../../model/clients-view.ts';
import { counted } from '../../model/words.ts';
import { Badge } from './badge.tsx';
import { Moment } from './moment.tsx';
import { TokenBar } from './token-bar.tsx';

const SHOWN_TOKENS = 2;

/** A client in one row, and on request a second one with all that is known of it. */
export function ClientRows({ row }: { readonly row: ClientRow }) {
  const [isOpen, setOpen] = useState(false);
  const detailsId = `details-${row.containerId}`;
  return (
    <>
      <tr role="row" class={isOpen ? 'open' : undefined}>
        <th scope="row" role="rowheader">
          <button
            type="button"
            class="name"
            aria-expanded={isOpen ? 'true' : 'false'}
            aria-controls={isOpen ? detailsId : undefined}
            onClick={() => setOpen(!isOpen)}
          >
            {row.name}
          </button>
          <span class="muted line image">{row.image}</span>
        </th>
        <StateCell row={row} />
        <Cell label="Wired by" isEmpty={row.method === undefined}>
          {row.method ?? <span class="muted">–</span>}
          {row.took !== undefined && <span class="muted line">in {row.took}</span>}
        </Cell>
        <Cell label="May have" isEmpty={row.policy === undefined}>
          {row.policy === undefined ? (
            <span class="muted">nothing</span>
          ) : (
            <>
              {row.identity}
              <span class="muted line">{row.resources}</span>
            </>
          )}
        </Cell>
        <RequestsCell row={row} />
        <Cell label="Tokens" isEmpty={row.tokens.length === 0}>
          {row.tokens.length === 0 && <span class="muted">none</span>}
          {row.tokens.slice(0, SHOWN_TOKENS).map(token => (
            <TokenBar key={token.id} token={token} />
          ))}
          {row.tokens.length > SHOWN_TOKENS && (
            <span class="muted line">and {row.tokens.length - SHOWN_TOKENS} more</span>
          )}
        </Cell>
      </tr>
      {isOpen && <DetailsRow row={row} id={detailsId} />}
    </>
  );
}

interface CellProps {
  /** The head of its column, which a narrow page shows next to it. */
  readonly label: string;
  /** It says only that there is nothing, for which a narrow page has no room. */
  readonly isEmpty?: boolean;
  readonly children: ComponentChildren;
}

function Cell({ label, isEmpty = false, children }: CellProps) {
  return (
    <td role="cell" data-label={label} class={isEmpty ? 'nothing' : undefined}>
      <div>{children}</div>
    </td>
  );
}

function StateCell({ row }: { readonly row: ClientRow }) {
  return (
    <Cell label="State">
      <Badge tone={row.tone}>{row.state}</Badge>
      <span class="muted since">
        for <Moment at={row.since}>{row.age}</Moment>
      </span>
      {row.reason !== undefined && <span class={`line reason ${row.tone}`}>{row.reason}</span>}
    </Cell>
  );
}

function RequestsCell({ row }: { readonly row: ClientRow }) {
  return (
    <Cell label="Requests" isEmpty={row.requests === '0'}>
      {row.requests}
      {row.refusals > 0 && (
        <span class="line refusals">
          {row.refusals} refused
          {row.lastRefusal !== undefined && (
            <span class="muted">
              , last <Moment at={row.lastRefusal.at}>{`${row.lastRefusal.age} ago`}</Moment>:{' '}
              {row.lastRefusal.reason}
            </span>
          )}
        </span>
      )}
    </Cell>
  );
}

function DetailsRow({ row, id }: { readonly row: ClientRow; readonly id: string }) {
  const { policy } = row;
  return (
    <tr role="row" class="details" id={id}>
      <td role="cell" colSpan={6}>
        <dl>
          <dt>Container</dt>
          <dd>
            <code>{row.shortId}</code>, started <Moment at={row.startedAt} />
          </dd>
          <dt>Addresses</dt>
          <dd>{row.addresses.length === 0 ? 'none' : row.addresses.join(', ')}</dd>
          {policy !== undefined && (
            <>
              <dt>Identity</dt>
              <dd>{policy.identity ?? 'none by default: a request names one, or IMDS chooses'}</dd>
              <dt>May name</dt>
              <dd>
                {policy.identities.includes('*') ? 'any identity of the VM' : policy.identities.join(', ')}
              </dd>
              <dt>Resources</dt>
              <dd>{policy.resources.includes('*') ? 'any' : policy.resources.join(', ')}</dd>
              <dt>Endpoints</dt>
              <dd>{row.endpoints}</dd>
            </>
          )}
          {row.tokens.length > 0 && (
            <>
              <dt>Tokens</dt>
              <dd>
                {counted(row.tokens.length, 'token')}:{' '}
                {row.tokens
                  .map(
                    ({ resource, shortIdentity, leftText }) => `${resource} of ${shortIdentity}, ${leftText}`,
                  )
                  .join('; ')}
              </dd>
            </>
          )}
        </dl>
      </td>
    </tr>
  );
}
