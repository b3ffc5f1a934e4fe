import type { TokenView } from '../../model/tokens-view.ts';

/** How much of a token's life is left. */
export function TokenBar({
  token: { shortResource, resource, left, leftText, tone },
}: {
  readonly token: TokenView;
}) {
  return (
    <span class="token">
      <span class="resource" title={resource}>
        {shortResource}
      </span>
      <span class="left">{leftText}</span>
      <Bar left={left} tone={tone} />
    </span>
  );
}

export function Bar({ left, tone }: Pick<TokenView, 'left' | 'tone'>) {
  return (
    <svg class={`bar-line ${tone}`} viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">
      <rect class="whole" width="100" height="4" />
      <rect class="rest" width={(left * 100).toFixed(1)} height="4" />
    </svg>
  );
}
