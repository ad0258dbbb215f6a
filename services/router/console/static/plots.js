/** Plots of the last 15 minutes, with their numbers as a table. */
import { element, replaceIfOther, setText, timeOf } from './dom.js';
import { SPAN_MS } from './past.js';

const SVG = 'http://www.w3.org/2000/svg';
const WIDTH = 900;
const HEIGHT = 100;
const MINUTE_MS = 60_000;

/** @typedef {readonly (readonly [atMs: number, value: number | null])[]} Series */

export class Plot {
  /**
   * @param {string} title What is shown.
   * @param {readonly string[]} names Of the series.
   */
  constructor(title, names) {
    this.title = title;
    this.names = names;
    this.caption = element('span');
    this.top = element('span');
    this.svg = document.createElementNS(SVG, 'svg');
    this.svg.setAttribute('viewBox', `0 0 ${WIDTH} ${HEIGHT}`);
    this.svg.setAttribute('preserveAspectRatio', 'none');
    this.svg.setAttribute('class', 'plot');
    this.svg.setAttribute('role', 'img');
    this.paths = names.map((_, index) => {
      const path = document.createElementNS(SVG, 'path');
      if (index > 0) path.setAttribute('class', 'second');
      this.svg.append(path);
      return path;
    });
    this.body = element('tbody');
    const head = element('tr', {}, ...['minute', ...names].map((name) => element('th', { scope: 'col' }, name)));
    this.root = element(
      'figure',
      {},
      element('figcaption', {}, this.caption, this.top),
      this.svg,
      element('div', { class: 'axis' }, element('span', {}, '15 min ago'), element('span', {}, 'now')),
      element(
        'details',
        {},
        element('summary', {}, `${title}, as a table`),
        element(
          'table',
          {},
          element('caption', {}, 'The highest of each minute'),
          element('thead', {}, head),
          this.body,
        ),
      ),
    );
  }

  /** @param {readonly Series[]} all */
  show(all) {
    const endMs = Math.max(0, ...all.flatMap((series) => series.at(-1)?.[0] ?? 0));
    const values = all.map((series) => series.flatMap(([, value]) => (value === null ? [] : [value])));
    const highest = Math.max(...values.flat(), 0);
    const top = Math.max(1, highest);
    for (const [index, path] of this.paths.entries()) path.setAttribute('d', lineOf(all[index] ?? [], endMs, top));
    // The name of a single one is in the title.
    const current = this.names
      .map((name, index) => `${this.names.length > 1 ? `${name} ` : ''}${shown(all[index]?.at(-1)?.[1] ?? null)}`)
      .join(', ');
    setText(this.caption, `${this.title}: ${current}`);
    setText(this.top, `highest ${shown(highest)}`);
    this.svg.setAttribute(
      'aria-label',
      `${this.title} over the last 15 minutes: now ${current}; highest ${shown(highest)}`,
    );
    const rows = minutesOf(all);
    replaceIfOther(this.body, JSON.stringify(rows), () =>
      rows.map(([minuteMs, ...numbers]) =>
        element(
          'tr',
          {},
          element('th', { scope: 'row' }, timeOf(minuteMs ?? 0)),
          ...numbers.map((value) => element('td', {}, shown(value))),
        ),
      ),
    );
  }
}

/**
 * @param {Series} series
 * @param {number} endMs
 * @param {number} top
 */
function lineOf(series, endMs, top) {
  let line = '';
  let isOpen = false;
  for (const [atMs, value] of series) {
    if (value === null) {
      isOpen = false;
      continue;
    }
    const x = WIDTH * (1 - (endMs - atMs) / SPAN_MS);
    const y = HEIGHT - 2 - (HEIGHT - 6) * (value / top);
    line += `${isOpen ? 'L' : 'M'}${x.toFixed(1)} ${y.toFixed(1)}`;
    isOpen = true;
  }
  return line;
}

/**
 * The highest value of each minute and series, the newest minute first.
 *
 * @param {readonly Series[]} all
 * @returns {[minuteMs: number, ...numbers: (number | null)[]][]}
 */
function minutesOf(all) {
  /** @type {Map<number, (number | null)[]>} */
  const minutes = new Map();
  for (const [index, series] of all.entries()) {
    for (const [atMs, value] of series) {
      const minuteMs = Math.floor(atMs / MINUTE_MS) * MINUTE_MS;
      const row = minutes.get(minuteMs) ?? all.map(() => null);
      const known = row[index] ?? null;
      row[index] = value === null ? known : Math.max(value, known ?? value);
      minutes.set(minuteMs, row);
    }
  }
  return [...minutes]
    .sort(([a], [b]) => b - a)
    .map(([minuteMs, row]) => /** @type {[number, ...(number | null)[]]} */ ([minuteMs, ...row]));
}

/** @param {number | null | undefined} value */
function shown(value) {
  if (value === null || value === undefined) return 'unknown';
  return value.toLocaleString(undefined, { maximumFractionDigits: 1 });
}
