import type { Tone } from '../../model/tone.ts';

/** A state by colour, by shape and by word. */
export function Badge({ tone, children }: { readonly tone: Tone; readonly children: string }) {
  return (
    <span class={`badge ${tone}`}>
      <Mark tone={tone} />
      {children}
    </span>
  );
}

/** The shape that goes with a colour. */
export function Mark({ tone }: { readonly tone: Tone }) {
  return <span class={`mark ${tone}`} aria-hidden="true" />;
}
