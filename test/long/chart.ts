import type { LongRun } from './long-run.ts';

export interface Line {
  readonly title: string;
  readonly points: readonly (readonly [seconds: number, value: number])[];
  readonly hasMarks?: boolean;
}

export interface Panel {
  readonly title: string;
  readonly lines: readonly Line[];
}

const WIDTH = 760;
const PANEL_HEIGHT = 130;
const LEFT = 60;
const RIGHT = 150;
const TOP = 24;
const COLOURS = ['#0366d6', '#d73a49', '#22863a', '#6f42c1'];

/** What was held over time, one panel for each unit, as an SVG image. */
export function chartOf(run: LongRun): string {
  return drawPanels(panelsOf(run), run.seconds);
}

/** @param seconds how long it took */
export function drawPanels(panels: readonly Panel[], seconds: number): string {
  const height = panels.length * PANEL_HEIGHT + TOP;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="11">
<rect width="${WIDTH}" height="${height}" fill="white"/>
${panels.map((panel, index) => panelText(panel, index * PANEL_HEIGHT + TOP, seconds)).join('\n')}
</svg>
`;
}

function panelsOf({ samples, heaps }: LongRun): Panel[] {
  const line = (title: string, read: (sample: LongRun['samples'][number]) => number | undefined): Line => ({
    title,
    points: samples.flatMap(sample => {
      const value = read(sample);
      return value === undefined ? [] : [[sample.seconds, value] as const];
    }),
  });
  const heap = (title: string, read: (sample: LongRun['heaps'][number]) => number): Line => ({
    title,
    points: heaps.map(sample => [sample.seconds, read(sample)]),
    hasMarks: true,
  });
  return [
    {
      title: 'memory, MB',
      lines: [
        line('monitor, resident', ({ monitor }) => monitor.residentMegabytes),
        line('proxy, resident', ({ proxy }) => proxy?.residentMegabytes),
        heap('monitor, live heap', ({ monitorMegabytes }) => monitorMegabytes),
        heap('proxy, live heap', ({ proxyMegabytes }) => proxyMegabytes),
      ],
    },
    {
      title: 'open descriptors',
      lines: [
        line('monitor', ({ monitor }) => monitor.files),
        line('proxy', ({ proxy }) => proxy?.files),
        line('monitor, sockets', ({ monitor }) => monitor.sockets),
        line('monitor, children', ({ monitor }) => monitor.children),
      ],
    },
    {
      title: 'of the VM',
      lines: [
        line('TCP sockets', ({ sockets }) => sockets),
        line('packet rules', ({ rules }) => rules),
        line('elements', ({ elements }) => elements),
      ],
    },
    { title: 'conntrack entries', lines: [line('of the VM', ({ conntrackEntries }) => conntrackEntries)] },
    {
      title: 'containers',
      lines: [line('alive', ({ clients }) => clients)],
    },
    {
      title: 'requests since the start',
      lines: [line('tokens', ({ answered }) => answered), line('failures', ({ failures }) => failures)],
    },
  ];
}

function panelText({ title, lines }: Panel, top: number, seconds: number): string {
  const innerHeight = PANEL_HEIGHT - 34;
  const maxY = Math.max(1, ...lines.flatMap(({ points }) => points.map(([, value]) => value))) * 1.1;
  const bottom = top + innerHeight;
  const right = WIDTH - RIGHT;
  const x = (at: number) => (LEFT + (at / seconds) * (right - LEFT)).toFixed(1);
  const y = (value: number) => (bottom - (value / maxY) * innerHeight).toFixed(1);
  const drawn = lines.map(({ title: name, points, hasMarks = false }, index) => {
    const colour = COLOURS[index % COLOURS.length]!;
    const path = points.map(([at, value]) => `${x(at)},${y(value)}`).join(' ');
    const marks = hasMarks
      ? points
          .map(([at, value]) => `<circle cx="${x(at)}" cy="${y(value)}" r="2" fill="${colour}"/>`)
          .join('')
      : '';
    return (
      `<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="1"/>${marks}` +
      `<text x="${right + 8}" y="${top + 12 + index * 14}" fill="${colour}">${name}</text>`
    );
  });
  const minutes = seconds / 60;
  const step = minutes > 10 ? 5 : 1;
  const ticks = Array.from({ length: Math.floor(minutes / step) + 1 }, (_, index) => index * step);
  return `<text x="${LEFT}" y="${top - 6}" font-weight="bold">${title}</text>
<path d="M${LEFT} ${top}V${bottom}H${right}" fill="none" stroke="black"/>
<text x="${LEFT - 6}" y="${top + 8}" text-anchor="end">${maxY.toFixed(0)}</text><text x="${LEFT - 6}" y="${bottom}" text-anchor="end">0</text>
${ticks.map(minute => `<text x="${x(minute * 60)}" y="${bottom + 14}" text-anchor="middle">${minute} min</text>`).join('')}
${drawn.join('\n')}`;
}
