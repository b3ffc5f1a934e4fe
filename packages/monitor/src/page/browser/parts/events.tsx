import type { StatusEvent } from '@msi-proxy/shared';
import { useState } from 'preact/hooks';
import { Moment } from './moment.tsx';
import { Section } from './section.tsx';

const FEW = 12;

/** What happened lately, the newest first. */
export function Events({ events }: { readonly events: readonly StatusEvent[] }) {
  const [isWhole, setWhole] = useState(false);
  const newestFirst = events.toReversed();
  return (
    <Section id="events" title="What happened">
      {events.length === 0 && <p class="empty">Nothing yet.</p>}
      <ol class="events">
        {newestFirst.slice(0, isWhole ? events.length : FEW).map(({ at, message }, index) => (
          // Two events may be alike; counted from the oldest one, an event keeps its place.
          <li key={events.length - index}>
            <Moment at={at} />
            <span>{message}</span>
          </li>
        ))}
      </ol>
      {events.length > FEW && (
        <button type="button" class="more" onClick={() => setWhole(!isWhole)}>
          {isWhole ? 'Show fewer' : `Show all ${events.length}`}
        </button>
      )}
    </Section>
  );
}
