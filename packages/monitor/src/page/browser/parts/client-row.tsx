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
        <td role="cell" data-label="Wired by">
          {row.method ?? <span class="muted">–</span>}
          {row.took !== undefined && <span class="muted line">in {row.took}</span>}
        </td>
        <td role="cell" data-label="May have" class="policy">
          {row.policy === undefined ? (
            <span class="muted">nothing</span>
          ) : (
            <>
              {row.identity}
              <span class="muted line">{row.resources}</span>
            </>
          )}
        </td>
        <RequestsCell row={row} />
        <td role="cell" data-label="Tokens" class="tokens">
          {row.tokens.length === 0 && <span class="muted">none</span>}
          {row.tokens.slice(0, SHOWN_TOKENS).map(token => (
            <TokenBar key={token.id} token={token} />
          ))}
          {row.tokens.length > SHOWN_TOKENS && (
            <span class="muted line">and {row.tokens.length - SHOWN_TOKENS} more</span>
          )}
        </td>
      </tr>
      {isOpen && <DetailsRow row={row} id={detailsId} />}
    </>
  );
}

function StateCell({ row }: { readonly row: ClientRow }) {
  return (
    <td role="cell" data-label="State">
      <Badge tone={row.tone}>{row.state}</Badge>
      <span class="muted since">
        for <Moment at={row.since}>{row.age}</Moment>
      </span>
      {row.reason !== undefined && <span class="line reason">{row.reason}</span>}
    </td>
  );
}

function RequestsCell({ row }: { readonly row: ClientRow }) {
  return (
    <td role="cell" data-label="Requests">
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
    </td>
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
