import type { MonitorStatus } from '@msi-proxy/shared';
import { ageOf } from '../../../terminal/duration.ts';
import { ENGINE_TONES, PROXY_TONES } from '../../model/tone.ts';
import { shortId } from '../../model/words.ts';
import { Badge } from './badge.tsx';
import { Moment } from './moment.tsx';
import { Section } from './section.tsx';

interface MachineryProps {
  readonly status: MonitorStatus;
  readonly nowMillis: number;
}

/** What does the work: proxies, engine, monitor. */
export function Machinery({ status, nowMillis }: MachineryProps) {
  const { engine, proxies, version, startedAt } = status;
  return (
    <Section id="machinery" title="Proxies and engine">
      <table class="plain">
        <caption class="unseen">Proxies, Docker engine and monitor, with their states</caption>
        <thead class="unseen">
          <tr>
            <th scope="col">What</th>
            <th scope="col">State</th>
          </tr>
        </thead>
        <tbody>
          {proxies.map(proxy => (
            <tr key={proxy.containerId}>
              <th scope="row">
                {proxy.name}
                <span class="muted line">
                  proxy {proxy.version} · <code>{shortId(proxy.containerId)}</code>
                  {proxy.address !== undefined && ` · ${proxy.address}`}
                </span>
                {proxy.reason !== undefined && <span class="line reason">{proxy.reason}</span>}
              </th>
              <td>
                <Badge tone={PROXY_TONES[proxy.state]}>{proxy.state}</Badge>
                <span class="muted line">
                  for <Moment at={proxy.since}>{ageOf(proxy.since, nowMillis)}</Moment>
                </span>
              </td>
            </tr>
          ))}
          <tr>
            <th scope="row">
              Docker engine
              <span class="muted line">
                {engine.version === undefined
                  ? 'version unknown'
                  : `${engine.version} · API ${engine.apiVersion ?? 'unknown'}`}
              </span>
              {engine.state !== 'connected' && engine.lastError !== undefined && (
                <span class="line reason">{engine.lastError}</span>
              )}
            </th>
            <td>
              <Badge tone={ENGINE_TONES[engine.state]}>{engine.state}</Badge>
              <span class="muted line">
                for <Moment at={engine.since}>{ageOf(engine.since, nowMillis)}</Moment>
              </span>
            </td>
          </tr>
          <tr>
            <th scope="row">
              Monitor
              <span class="muted line">{version}</span>
            </th>
            <td>
              <span class="muted line">
                running for <Moment at={startedAt}>{ageOf(startedAt, nowMillis)}</Moment>
              </span>
            </td>
          </tr>
        </tbody>
      </table>
    </Section>
  );
}
