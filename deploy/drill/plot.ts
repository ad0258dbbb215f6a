/** Line plots as SVG: no script, no style of their own; classes are styled by the page. */

export interface Series {
  readonly name: string;
  /** x in ms since the beginning, y; null interrupts the line. */
  readonly points: readonly (readonly [x: number, y: number | null])[];
}

export interface PlotOptions {
  /** For readers that do not see it. */
  readonly title: string;
  readonly unit: string;
  readonly series: readonly Series[];
  /** Vertical lines. */
  readonly marks: readonly { readonly atMs: number; readonly text: string }[];
  readonly spanMs: number;
}

const WIDTH = 860;
const HEIGHT = 200;
const LEFT = 64;
const RIGHT = 12;
const TOP = 14;
const BOTTOM = 26;
/** Classes `s0` … of lines; further series begin again. */
export const COLOURS = 6;

export function escaped(text: string): string {
  const named: Readonly<Record<string, string>> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
    "'": '&#39;',
  };
  return text.replace(/[&<>"']/g, (character) => named[character]!);
}

export function plot({ title, unit, series, marks, spanMs }: PlotOptions): string {
  const highest = Math.max(0, ...series.flatMap(({ points }) => points.map(([, y]) => y ?? 0)));
  const top = roundUp(highest);
  const x = (ms: number): number => fixed(LEFT + (Math.min(ms, spanMs) / Math.max(1, spanMs)) * (WIDTH - LEFT - RIGHT));
  const y = (value: number): number => fixed(HEIGHT - BOTTOM - (value / top) * (HEIGHT - TOP - BOTTOM));
  const rows = [0, top / 2, top].map(
    (value) =>
      `<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y(value)}" y2="${y(value)}"/>` +
      `<text class="axis" x="${LEFT - 6}" y="${y(value) + 4}" text-anchor="end">${shortNumber(value)}</text>`,
  );
  const step = stepOf(spanMs);
  const columns = Array.from({ length: Math.floor(spanMs / step) + 1 }, (_, index) => index * step).map(
    (ms) => `<text class="axis" x="${x(ms)}" y="${HEIGHT - 8}" text-anchor="middle">${ms / 1_000} s</text>`,
  );
  const lines = series.map(({ name, points }, index) => {
    const path = pathOf(points.map(([ms, value]) => (value === null ? null : [x(ms), y(value)])));
    return `<path class="line s${index % COLOURS}" d="${path}"><title>${escaped(name)}</title></path>`;
  });
  const bars = marks.map(
    ({ atMs, text }) =>
      `<line class="mark" x1="${x(atMs)}" x2="${x(atMs)}" y1="${TOP}" y2="${HEIGHT - BOTTOM}"><title>${escaped(text)}</title></line>`,
  );
  const legend = series.map(({ name }, index) => `<span class="key s${index % COLOURS}">${escaped(name)}</span>`);
  return [
    `<figure><figcaption>${escaped(title)}, ${escaped(unit)} ${legend.join(' ')}</figcaption>`,
    `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escaped(title)}">`,
    ...rows,
    ...columns,
    ...bars,
    ...lines,
    '</svg></figure>',
  ].join('\n');
}

function pathOf(points: readonly (readonly [number, number] | null)[]): string {
  let down = false;
  return points
    .flatMap((point) => {
      if (point === null) {
        down = false;
        return [];
      }
      const command = down ? 'L' : 'M';
      down = true;
      return [`${command}${point[0]} ${point[1]}`];
    })
    .join('');
}

/** 1, 2 or 5 times a power of ten, at least the value. */
function roundUp(value: number): number {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((factor) => factor * power).find((round) => round >= value)!;
}

/** Between two times on the axis, ms: about eight of them. */
function stepOf(spanMs: number): number {
  return Math.max(1_000, roundUp(spanMs / 8 / 1_000) * 1_000);
}

function shortNumber(value: number): string {
  return value >= 10_000 ? `${fixed(value / 1_000)} k` : String(fixed(value));
}

function fixed(value: number): number {
  return Number(value.toFixed(1));
}
