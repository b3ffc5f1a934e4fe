import type { MonitorStatus } from '@msi-proxy/shared';
import { pictureView, type Part, type PictureView, type Way } from '../../model/picture-view.ts';
import { CLIENT_TONES } from '../../model/tone.ts';
import { counted } from '../../model/words.ts';
import { Badge, Mark } from './badge.tsx';

/** The VM: who asks, who answers for IMDS, and which ways are shut. */
export function Picture({ status }: { readonly status: MonitorStatus }) {
  const view = pictureView(status);
  return (
    <section class="picture" aria-labelledby="picture-title">
      <h2 id="picture-title" class="unseen">
        The VM as a picture
      </h2>
      <div class="vm" aria-hidden="true" />
      <p class="vm-name">{view.vm}</p>
      <ClientsBox clients={view.clients} />
      <WayLine area="to-proxy" way={view.clientsToProxy} />
      <div class="box proxies">
        {view.proxies.length === 0 ? (
          <PartBox
            part={{
              title: 'No proxy',
              tone: 'bad',
              word: 'missing',
              detail: 'start one with the label MSIProxyContainer',
            }}
          />
        ) : (
          view.proxies.map(proxy => <PartBox key={proxy.containerId} part={proxy} />)
        )}
      </div>
      <WayLine area="to-imds" way={view.proxyToImds} />
      <div class="box imds">
        <PartBox part={view.imds} />
      </div>
      <div class="box others">
        <h3>All others</h3>
        <p class="detail">containers without the label</p>
      </div>
      <WayLine area="to-guard" way={view.othersToImds} />
      <div class={`box guard-box ${view.guard.tone}`}>
        <PartBox part={view.guard} />
      </div>
      <WayLine area="past-guard" way={view.othersToImds} />
    </section>
  );
}

function PartBox({ part: { title, tone, word, detail } }: { readonly part: Part }) {
  return (
    <div class="part">
      <h3 title={title}>{title}</h3>
      <p>
        <Badge tone={tone}>{word}</Badge>
      </p>
      <p class="detail" title={detail}>
        {detail}
      </p>
    </div>
  );
}

function ClientsBox({
  clients: { title, counts, dots, moreDots },
}: {
  readonly clients: PictureView['clients'];
}) {
  return (
    <div class="box clients-box">
      <h3>{title}</h3>
      {dots.length > 0 && (
        <p class="dots" aria-hidden="true">
          {dots.map((state, index) => (
            <Mark key={index} tone={CLIENT_TONES[state]} />
          ))}
          {moreDots > 0 && <span class="more-dots">+ {counted(moreDots, 'more').replace(/s$/, '')}</span>}
        </p>
      )}
      <p class="legend">
        {counts.map(({ state, count }) => (
          <Badge key={state} tone={CLIENT_TONES[state]}>{`${count} ${state}`}</Badge>
        ))}
        {counts.length === 0 && (
          <span class="detail">containers with the label MSIClientContainer appear here</span>
        )}
      </p>
    </div>
  );
}

/** A line across, or down where the page is narrow. */
function WayLine({ area, way: { kind, label } }: { readonly area: string; readonly way: Way }) {
  return (
    <div class={`way ${area} ${kind}`}>
      <svg aria-hidden="true">
        <line class="across" x1="0" y1="50%" x2="100%" y2="50%" />
        <line class="down" x1="50%" y1="0" x2="50%" y2="100%" />
      </svg>
      {label !== '' && <span>{label}</span>}
    </div>
  );
}
