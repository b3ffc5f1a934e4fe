import type { Finding } from '../../model/overview.ts';
import { Mark } from './badge.tsx';

/** How the VM is, in a sentence, and what else there is to know. */
export function Overview({
  findings: [first, ...others],
}: {
  readonly findings: readonly [Finding, ...Finding[]];
}) {
  return (
    <div class="overview" role="status">
      <h1 class={first.tone}>
        <Mark tone={first.tone} />
        {first.text}
      </h1>
      {others.length > 0 && (
        <ul>
          {others.map(({ tone, text }) => (
            <li key={text} class={tone}>
              <Mark tone={tone} />
              {text}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
