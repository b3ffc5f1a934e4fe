// node --conditions=@msi-proxy/source bench/flame-graph.ts <profile> <image.svg>: draws what `--cpu-prof` of Node has written
// (npm run bench -- --node-arguments="--cpu-prof --cpu-prof-dir=…" makes such files), or what `perf script -F comm,ip,sym`
// prints of a whole machine that was recorded with `perf record -a -g`.
import { readFileSync, writeFileSync } from 'node:fs';

interface ProfileNode {
  readonly id: number;
  readonly callFrame: { readonly functionName: string; readonly url: string };
  readonly children?: readonly number[];
}

interface Profile {
  readonly nodes: readonly ProfileNode[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

/** Functions of the same name below the same caller, as one. */
interface Frame {
  readonly name: string;
  micros: number;
  readonly inner: Map<string, Frame>;
}

const WIDTH = 1_000;
const ROW = 15;
const MAX_DEPTH = 32;
// Narrower ones are only noise and bytes.
const MIN_WIDTH = 2;
const CHARACTER_WIDTH = 6;

const [profileFile, imageFile] = process.argv.slice(2);
if (profileFile === undefined || imageFile === undefined) {
  console.error('usage: flame-graph.ts <profile.cpuprofile or text of perf> <image.svg>');
  process.exit(64);
}
const root: Frame = { name: 'all', micros: 0, inner: new Map() };
const profileText = readFileSync(profileFile, 'utf8');
if (profileText.startsWith('{')) addProfile(JSON.parse(profileText) as Profile);
else addPerfScript(profileText);
writeFileSync(imageFile, draw(root));

function addProfile({ nodes, samples, timeDeltas }: Profile): void {
  const nodeById = new Map(nodes.map(node => [node.id, node]));
  const parentOf = new Map(
    nodes.flatMap(({ id, children = [] }) => children.map(child => [child, id] as const)),
  );
  samples.forEach((sample, index) => {
    const stack: string[] = [];
    for (let id: number | undefined = sample; id !== undefined; id = parentOf.get(id)) {
      stack.unshift(nodeById.get(id)!.callFrame.functionName || '(anonymous)');
    }
    if (stack.at(-1) !== '(idle)') add(stack.slice(1), timeDeltas[index] ?? 0);
  });
}

/** Samples one below the other: the name of the program, then its functions, the innermost first, and an empty line. */
function addPerfScript(text: string): void {
  for (const sample of text.split('\n\n')) {
    const [program = '', ...functions] = sample.trim().split('\n');
    if (program === '' || program.trim() === 'swapper') continue;
    const names = functions.map(line => line.trim().replace(/^[0-9a-f]+ /, ''));
    add([program.trim(), ...names.reverse()], 1);
  }
}

function add(stack: readonly string[], micros: number): void {
  root.micros += micros;
  let frame = root;
  for (const name of stack.slice(0, MAX_DEPTH)) {
    let inner = frame.inner.get(name);
    if (inner === undefined) frame.inner.set(name, (inner = { name, micros: 0, inner: new Map() }));
    inner.micros += micros;
    frame = inner;
  }
}

function draw(all: Frame): string {
  const boxes: string[] = [];
  let depthReached = 0;
  const place = (frame: Frame, left: number, depth: number): void => {
    const width = (frame.micros / all.micros) * WIDTH;
    if (width < MIN_WIDTH) return;
    depthReached = Math.max(depthReached, depth);
    const share = ((frame.micros / all.micros) * 100).toFixed(1);
    const text = escaped(frame.name.slice(0, Math.floor(width / CHARACTER_WIDTH)));
    const top = depth * ROW;
    boxes.push(
      `<g><title>${escaped(frame.name)} ${share} %</title><rect x="${left.toFixed(1)}" y="${top}" width="${width.toFixed(1)}" height="${ROW - 1}" fill="hsl(${colourOf(frame.name)} 80% 70%)"/><text x="${(left + 2).toFixed(1)}" y="${top + 11}">${text}</text></g>`,
    );
    let at = left;
    for (const inner of [...frame.inner.values()].sort((a, b) => b.micros - a.micros)) {
      place(inner, at, depth + 1);
      at += (inner.micros / all.micros) * WIDTH;
    }
  };
  place(all, 0, 0);
  const height = (depthReached + 1) * ROW;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="monospace" font-size="10">\n${boxes.join('\n')}\n</svg>\n`;
}

/** The same for the same name, between red and yellow. */
function colourOf(name: string): number {
  return name.split('').reduce((sum, character) => sum + character.charCodeAt(0), 0) % 55;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
