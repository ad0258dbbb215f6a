/** Tables of text for a terminal. */
import { styleText } from 'node:util';

export type Column<T> = readonly [title: string, of: (row: T) => string | number];

/** The titles and then each row on a line, columns as wide as their longest value, numbers to the right. */
export function tableOf<T>(rows: readonly T[], columns: readonly Column<T>[]): string {
  const cells = rows.map((row) => columns.map(([, of]) => of(row)));
  const widths = columns.map(([title], index) =>
    Math.max(title.length, ...cells.map((line) => String(line[index]).length)),
  );
  const line = (values: readonly (string | number)[]): string =>
    values
      .map((value, index) =>
        typeof value === 'number' ? String(value).padStart(widths[index]!) : value.padEnd(widths[index]!),
      )
      .join('  ')
      .trimEnd();
  return [bold(line(columns.map(([title]) => title))), ...cells.map(line)].join('\n');
}

/** On a terminal, unless NO_COLOR is set. */
export function bold(text: string): string {
  const { NO_COLOR: plain = '' } = process.env;
  return process.stdout.isTTY && plain === '' ? styleText('bold', text) : text;
}

/** Control characters of a cluster's data and answers must not reach a terminal: JSON escapes all but these. */
export function printable(text: string): string {
  return text.replace(
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it is about.
    /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
