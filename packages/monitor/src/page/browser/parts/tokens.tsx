import type { MonitorStatus } from '@msi-proxy/shared';
import { useState } from 'preact/hooks';
import { tokenRows } from '../../model/tokens-view.ts';
import { numberText } from '../../model/words.ts';
import { Section } from './section.tsx';
import { Bar } from './token-bar.tsx';

interface TokensProps {
  readonly status: MonitorStatus;
  readonly nowMillis: number;
}

const FEW = 8;

/** What the serving proxy keeps. */
export function Tokens({ status, nowMillis }: TokensProps) {
  const [isWhole, setWhole] = useState(false);
  const rows = tokenRows(status, nowMillis);
  if (rows === undefined || rows.length === 0) {
    return (
      <Section id="tokens" title="Tokens kept">
        <p class="empty">
          {rows === undefined ? 'No proxy tells what it keeps.' : 'No token has been asked for yet.'}
        </p>
      </Section>
    );
  }
  return (
    <Section id="tokens" title="Tokens kept" aside={<span class="muted">{numberText(rows.length)}</span>}>
      <table class="plain">
        <caption class="unseen">Tokens that the proxy keeps, with their identity and when they end</caption>
        <thead class="unseen">
          <tr>
            <th scope="col">Resource and identity</th>
            <th scope="col">Life left</th>
          </tr>
        </thead>
        <tbody>
          {rows.slice(0, isWhole ? rows.length : FEW).map(token => (
            <tr key={token.id}>
              <th scope="row">
                <span title={token.resource}>{token.shortResource}</span>
                <span class="muted line" title={token.identity}>
                  {token.shortIdentity} · {token.holders} · given {numberText(token.hits)} times from here
                </span>
              </th>
              <td class="life">
                <span class="left">{token.leftText}</span>
                <Bar left={token.left} tone={token.tone} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {rows.length > FEW && (
        <button type="button" class="more" onClick={() => setWhole(!isWhole)}>
          {isWhole ? 'Show fewer' : `Show all ${numberText(rows.length)}`}
        </button>
      )}
    </Section>
  );
}
