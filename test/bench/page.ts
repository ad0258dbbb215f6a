/** A benchmark's page: title, table, notes, and what it takes to judge and repeat it. */
import type { BenchResult } from './bench.ts';

export interface Run {
  readonly title: string;
  readonly command: string;
  readonly startedMs: number;
  readonly machine: string;
  readonly versions: string;
  /** What else there is to know of the run: others used the machine. */
  readonly remark?: string | undefined;
  readonly result: BenchResult;
}

export function renderPage({ title, command, startedMs, machine, versions, remark, result }: Run): string {
  return [
    `# ${title}`,
    renderTable(result).trimEnd(),
    result.notes.map((note) => `- ${note}`).join('\n'),
    [
      `| | |\n|---|---|`,
      `| command | \`${command}\` |`,
      `| date | ${new Date(startedMs).toISOString().slice(0, 16).replace('T', ' ')} UTC |`,
      `| machine | ${cell(machine)} |`,
      `| versions | ${cell(versions)} |`,
      ...(remark === undefined ? [] : [`| remark | ${cell(remark)} |`]),
    ].join('\n'),
    'Written by `npm run bench`; do not edit.',
  ]
    .filter((part) => part !== '')
    .join('\n\n')
    .concat('\n');
}

/** Aligned, so that it reads on a terminal as well; ends with a line break. Throws where a row has another length than the head. */
export function renderTable({ columns, rows }: BenchResult): string {
  const wrong = rows.find(({ cells }) => cells.length !== columns.length);
  if (wrong !== undefined)
    throw new Error(`“${wrong.what}” has ${wrong.cells.length} cells for ${columns.length} columns`);
  const lines = [['', ...columns], ...rows.map(({ what, cells }) => [what, ...cells])].map((line) => line.map(cell));
  const widths = lines[0]!.map((_, column) => Math.max(3, ...lines.map((line) => line[column]!.length)));
  const padded = (line: readonly string[]): string =>
    `| ${line.map((text, column) => (column === 0 ? text.padEnd(widths[0]!) : text.padStart(widths[column]!))).join(' | ')} |`;
  const rule = `|${widths.map((width, column) => (column === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`;
  return `${[padded(lines[0]!), rule, ...lines.slice(1).map(padded)].join('\n')}\n`;
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}
