/** The output of the demo: progress and tables. */

/** Column heads, and rows of texts; numbers are right-aligned. */
export function table(heads: readonly string[], rows: readonly (readonly (string | number | undefined)[])[]): string {
  const cells = rows.map((row) => heads.map((_, column) => cellText(row[column])));
  const widths = heads.map((head, column) => Math.max(head.length, ...cells.map((row) => row[column]!.length)));
  const isNumeric = heads.map((_, column) => rows.length > 0 && rows.every((row) => typeof row[column] !== 'string'));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => (isNumeric[column] ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!)))
      .join('  ')
      .trimEnd();
  return [line(heads), line(widths.map((width) => '-'.repeat(width))), ...cells.map(line)].join('\n');
}

const longestCell = 44;

function cellText(value: string | number | undefined): string {
  if (value === undefined) return '';
  if (typeof value === 'number') return String(Number.isInteger(value) ? value : Number(value.toPrecision(4)));
  return value.length > longestCell ? `${value.slice(0, longestCell - 1)}…` : value;
}

export interface ProgressTarget {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

/** A progress bar on a terminal; elsewhere one line every ten per cent. */
export class Progress {
  private readonly target: ProgressTarget;
  private readonly label: string;
  private readonly total: number;
  private shown = -1;

  constructor(target: ProgressTarget, label: string, total: number) {
    this.target = target;
    this.label = label;
    this.total = total;
  }

  /** `done` of the total; 100 % ends the bar. */
  update(done: number): void {
    const percent = this.total === 0 ? 100 : Math.floor((100 * done) / this.total);
    const step = this.target.isTTY === true ? percent : percent - (percent % 10);
    if (step === this.shown) return;
    this.shown = step;
    const bar = '#'.repeat(Math.floor(step / 5)).padEnd(20, '.');
    const text = `${this.label.padEnd(10)} [${bar}] ${String(step).padStart(3)} %  ${done} of ${this.total}`;
    if (this.target.isTTY !== true) this.target.write(`${text}\n`);
    else this.target.write(`\r${text}${percent >= 100 ? '\n' : ''}`);
  }
}
