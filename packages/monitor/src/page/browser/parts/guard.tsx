import type { GuardStatus } from '@msi-proxy/shared';
import { ageOf } from '../../../terminal/duration.ts';
import { guardText } from '../../model/guard-view.ts';
import { guardTone } from '../../model/tone.ts';
import { counted } from '../../model/words.ts';
import { Badge } from './badge.tsx';
import { Moment } from './moment.tsx';
import { Section } from './section.tsx';

interface GuardProps {
  readonly guard: GuardStatus;
  readonly nowMillis: number;
}

/** Whether the direct way to IMDS is shut, and who tried it. */
export function Guard({ guard, nowMillis }: GuardProps) {
  const { stopped, mode, repairs, lastRepair } = guard;
  const { word, sentence } = guardText(guard);
  return (
    <Section id="guard" title="Guard" aside={<Badge tone={guardTone(guard)}>{word}</Badge>}>
      <p>{sentence}</p>
      {repairs > 0 && (
        <p class="muted">
          Its rules were changed by somebody else and mended {counted(repairs, 'time')}
          {lastRepair !== undefined && (
            <>
              , last <Moment at={lastRepair.at}>{`${ageOf(lastRepair.at, nowMillis)} ago`}</Moment>:{' '}
              {lastRepair.differences.join('; ')}
            </>
          )}
          .
        </p>
      )}
      {stopped.length > 0 && (
        <table class="plain">
          <caption>{mode === 'audit' ? 'It would have stopped' : 'It stopped'}</caption>
          <thead class="unseen">
            <tr>
              <th scope="col">Who</th>
              <th scope="col">Attempts</th>
            </tr>
          </thead>
          <tbody>
            {stopped.map(({ address, containerId = '', name, attempts, lastAt }) => (
              <tr key={`${address} ${containerId}`}>
                <th scope="row">
                  {name ?? 'no container known here'}
                  <span class="muted line">{address}</span>
                </th>
                <td>
                  {counted(attempts, 'attempt')}
                  <span class="muted line">
                    last <Moment at={lastAt}>{`${ageOf(lastAt, nowMillis)} ago`}</Moment>
                  </span>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </Section>
  );
}
