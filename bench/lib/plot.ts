interface Point {
  readonly x: number;
  readonly y: number;
}

const WIDTH = 640;
const HEIGHT = 360;
const MARGIN = 60;

/** A line through points, from zero on both axes, as an SVG image. */
export function plot({
  points,
  xTitle,
  yTitle,
}: {
  readonly points: readonly Point[];
  readonly xTitle: string;
  readonly yTitle: string;
}): string {
  const maxX = Math.max(...points.map(({ x }) => x));
  const maxY = Math.max(...points.map(({ y }) => y), 1);
  const place = ({ x, y }: Point) => ({
    left: MARGIN + (x / maxX) * (WIDTH - 2 * MARGIN),
    top: HEIGHT - MARGIN - (y / maxY) * (HEIGHT - 2 * MARGIN),
  });
  const line = points
    .map(place)
    .map(({ left, top }) => `${left.toFixed(1)},${top.toFixed(1)}`)
    .join(' ');
  const marks = points.map(point => {
    const { left, top } = place(point);
    return `<circle cx="${left.toFixed(1)}" cy="${top.toFixed(1)}" r="4" fill="#0366d6"/><text x="${left.toFixed(1)}" y="${(top - 10).toFixed(1)}" text-anchor="middle">${point.x}: ${point.y.toFixed(0)}</text>`;
  });
  const bottom = HEIGHT - MARGIN;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">
<rect width="${WIDTH}" height="${HEIGHT}" fill="white"/>
<path d="M${MARGIN} ${MARGIN / 2}V${bottom}H${WIDTH - MARGIN / 2}" fill="none" stroke="black"/>
<polyline points="${line}" fill="none" stroke="#0366d6" stroke-width="2"/>
${marks.join('\n')}
<text x="${WIDTH / 2}" y="${HEIGHT - MARGIN / 3}" text-anchor="middle">${xTitle}</text>
<text x="${MARGIN / 3}" y="${HEIGHT / 2}" text-anchor="middle" transform="rotate(-90 ${MARGIN / 3} ${HEIGHT / 2})">${yTitle}</text>
</svg>
`;
}
