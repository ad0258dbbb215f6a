/** A line plot as SVG: deterministic text, readable on light and dark pages, small enough to be kept beside the code. */

export interface PlotLine {
  readonly label: string;
  /** Ascending in x. */
  readonly points: readonly (readonly [x: number, y: number])[];
}

export interface Plot {
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  /** From the first to the last of these. */
  readonly xTicks: readonly (readonly [x: number, label: string])[];
  readonly lines: readonly PlotLine[];
}

const WIDTH = 760;
const HEIGHT = 320;
/** Of a step: what a value may be beyond a tick without asking for another one. */
const TOLERANCE = 1e-3;
const area = { left: 72, right: 560, top: 40, bottom: 262 };
// Distinguished without colour by their dashes.
const strokes = [
  ['#0b6bcb', ''],
  ['#c2410c', '7 3'],
  ['#15803d', '2 3'],
  ['#7e22ce', '9 3 2 3'],
  ['#475569', '1 5'],
] as const;

export function renderPlot({ title, xLabel, yLabel, xTicks, lines }: Plot): string {
  const ys = lines.flatMap(({ points }) => points.map(([, y]) => y));
  const yTicks = ticksOver(Math.min(0, ...ys), Math.max(...ys));
  const [xLow, xHigh] = [xTicks[0]![0], xTicks.at(-1)![0]];
  const [yLow, yHigh] = [yTicks[0]!, yTicks.at(-1)!];
  const x = (value: number): string =>
    (area.left + ((value - xLow) / (xHigh - xLow)) * (area.right - area.left)).toFixed(1);
  const y = (value: number): string =>
    (area.bottom - ((value - yLow) / (yHigh - yLow)) * (area.bottom - area.top)).toFixed(1);
  const text = (at: readonly [x: string | number, y: string | number], anchor: string, content: string): string =>
    `<text x="${at[0]}" y="${at[1]}" text-anchor="${anchor}">${escaped(content)}</text>`;
  const rule = (
    x1: string | number,
    y1: string | number,
    x2: string | number,
    y2: string | number,
    stroke: string,
  ): string => `<line x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}" stroke="${stroke}"/>`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" font-family="system-ui, sans-serif" font-size="12" fill="#1f2937">`,
    `<title>${escaped(title)}</title>`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#ffffff"/>`,
    `<text x="${area.left}" y="24" font-size="14" font-weight="600">${escaped(title)}</text>`,
    ...yTicks.map((value) => rule(area.left, y(value), area.right, y(value), value === 0 ? '#6b7280' : '#e5e7eb')),
    ...yTicks.map((value) => text([area.left - 8, (Number(y(value)) + 4).toFixed(1)], 'end', numberText(value))),
    ...xTicks.map(([value]) => rule(x(value), area.bottom, x(value), area.bottom + 4, '#6b7280')),
    ...xTicks.map(([value, label]) => text([x(value), area.bottom + 18], 'middle', label)),
    text([(area.left + area.right) / 2, area.bottom + 42], 'middle', xLabel),
    `<text transform="translate(18 ${(area.top + area.bottom) / 2}) rotate(-90)" text-anchor="middle">${escaped(yLabel)}</text>`,
    ...lines.flatMap(({ label, points }, index) => {
      const [stroke, dashes] = strokes[index % strokes.length]!;
      const style = `fill="none" stroke="${stroke}" stroke-width="2"${dashes === '' ? '' : ` stroke-dasharray="${dashes}"`}`;
      const legendY = area.top + 6 + index * 20;
      return [
        `<polyline ${style} points="${bends(points.map(([px, py]) => [x(px), y(py)])).join(' ')}"/>`,
        `<polyline ${style} points="${area.right + 12},${legendY} ${area.right + 40},${legendY}"/>`,
        text([area.right + 46, legendY + 4], 'start', label),
      ];
    }),
    '</svg>',
    '',
  ].join('\n');
}

/** Without the points in the middle of a level stretch. */
function bends(points: readonly (readonly [x: string, y: string])[]): readonly string[] {
  return points
    .filter(([, y], index) => y !== points[index - 1]?.[1] || y !== points[index + 1]?.[1])
    .map(([x, y]) => `${x},${y}`);
}

/** Round numbers from at most `low` to at least `high`, about five steps. */
function ticksOver(low: number, high: number): readonly number[] {
  const rough = (high - low) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough * (1 - TOLERANCE))!;
  const [first, last] = [Math.floor(low / step + TOLERANCE), Math.ceil(high / step - TOLERANCE)];
  return Array.from({ length: last - first + 1 }, (_, index) => (first + index) * step);
}

function numberText(value: number): string {
  return String(Number(value.toPrecision(6)));
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
