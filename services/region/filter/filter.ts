/**
 * Filters over metadata: expressions of comparisons, and their definition: a predicate over one item's metadata.
 * `filter/grammar` has how they are written.
 *
 * A value is compared with what it is: a number as a number, anything else as text in Unicode's form NFC; texts that are RFC 3339
 * times are also equal as times. A `string[]` matches when any element does. A missing field has no value, nor has an empty list:
 * it matches no comparison, and so every negated one.
 */
import type { Metadata, MetadataValue } from '../../../shared/protocol/events.ts';
import { timeOfText } from '../../../shared/protocol/timestamp.ts';
import { foldCase } from '../state/text/analysis/analysis.ts';

export type Filter = Comparison | Combination | Negation;

export interface Comparison {
  readonly field: string;
  /**
   * `in`: equals one of the values; `not_in`: none of them; `same_letters`: one of them whatever the case; `between`: from
   * the first value to the second, both included; `exists`: has any value, and needs none here; the others compare with one number
   * or time.
   */
  readonly operator: 'in' | 'not_in' | 'same_letters' | 'exists' | 'between' | Order;
  /** As written. */
  readonly values: readonly string[];
}

export type Order = '>=' | '<=' | '>' | '<';

export interface Combination {
  readonly operator: 'and' | 'or';
  readonly filters: readonly Filter[];
}

export interface Negation {
  readonly operator: 'not';
  readonly filter: Filter;
}

/** A number or a time to compare with. */
export interface Bound {
  readonly of: 'number' | 'time';
  /** The number, or epoch ms. */
  readonly at: number;
}

const number = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;
const date = /^\d{4}-\d{2}-\d{2}$/;
/** The characters below are their own form NFC, and no combining ones. */
const mayChange = /[\u0300-\uffff]/;
const beyondAscii = /[^\0-\x7f]/;

/** The number that is written; undefined if it is none. */
export function numberOf(text: string): number | undefined {
  if (!number.test(text)) return undefined;
  const value = Number(text);
  return Number.isFinite(value) ? value : undefined;
}

/** The time of an RFC 3339 time, or of a date, which is its midnight in UTC; epoch ms. */
export function timeOf(text: string): number | undefined {
  // Most texts are none.
  if (text.length < 10 || text.charCodeAt(4) !== 0x2d || text.charCodeAt(7) !== 0x2d) return undefined;
  return timeOfText(date.test(text) ? `${text}T00:00:00Z` : text);
}

export function boundOf(text: string): Bound | undefined {
  const value = numberOf(text);
  if (value !== undefined) return { of: 'number', at: value };
  const time = timeOf(text);
  return time === undefined ? undefined : { of: 'time', at: time };
}

/** The text as it is compared. */
export function comparable(text: string): string {
  return mayChange.test(text) ? text.normalize('NFC') : text;
}

/** The same for texts that differ in case, or in width and the like (NFKC), only. Folded as words of searches are. */
export function caseless(text: string): string {
  if (!beyondAscii.test(text)) return text.toLowerCase();
  return foldCase(foldCase(text.normalize('NFC')).normalize('NFKC')).normalize('NFC');
}

/** The texts of a value. */
export function textsOf(value: MetadataValue | undefined): readonly string[] {
  if (value === undefined) return [];
  return typeof value === 'object' ? value : [String(value)];
}

export type MetadataTest = (metadata: Metadata) => boolean;

/** All filters as one test. */
export function compileFilters(filters: readonly Filter[]): MetadataTest {
  return compileFilter({ operator: 'and', filters });
}

function compileFilter(filter: Filter): MetadataTest {
  if ('filters' in filter) {
    const tests = filter.filters.map(compileFilter);
    if (filter.operator === 'and') return (metadata) => tests.every((test) => test(metadata));
    return (metadata) => tests.some((test) => test(metadata));
  }
  if ('filter' in filter) return negated(compileFilter(filter.filter));
  const { field, operator } = filter;
  const test = compileComparison(filter);
  const compared: MetadataTest = (metadata) => Object.hasOwn(metadata, field) && test(metadata[field]!);
  return operator === 'not_in' ? negated(compared) : compared;
}

function negated(test: MetadataTest): MetadataTest {
  return (metadata) => !test(metadata);
}

type ValueTest = (value: MetadataValue) => boolean;

function compileComparison({ operator, values }: Comparison): ValueTest {
  switch (operator) {
    case 'exists':
      return (value) => typeof value !== 'object' || value.length > 0;
    case 'in':
    case 'not_in':
      return equalTo(values);
    case 'same_letters':
      return equalTo(values, caseless);
    case 'between': {
      const [from, to] = values.map((text) => boundOf(text)!.at) as [number, number];
      return within(boundOf(values[0]!)!.of, (at) => at >= from && at <= to);
    }
    default: {
      const { of, at } = boundOf(values[0]!)!;
      const holds = orders[operator];
      return within(of, (value) => holds(value, at));
    }
  }
}

function equalTo(values: readonly string[], keyOf: (text: string) => string = comparable): ValueTest {
  const texts = new Set(values.map(keyOf));
  const numbers = new Set(values.map(numberOf).filter((at) => at !== undefined));
  const times = new Set(values.map(timeOf).filter((at) => at !== undefined));
  const isWanted = (text: string): boolean => {
    if (texts.has(keyOf(text))) return true;
    const time = times.size === 0 ? undefined : timeOf(text);
    return time !== undefined && times.has(time);
  };
  return (value) => (typeof value === 'number' ? numbers.has(value) : textsOf(value).some(isWanted));
}

function within(of: Bound['of'], holds: (at: number) => boolean): ValueTest {
  if (of === 'number') return (value) => typeof value === 'number' && holds(value);
  return (value) =>
    typeof value !== 'number' &&
    textsOf(value).some((text) => {
      const time = timeOf(text);
      return time !== undefined && holds(time);
    });
}

const orders: Readonly<Record<Order, (value: number, bound: number) => boolean>> = {
  '>=': (value, bound) => value >= bound,
  '<=': (value, bound) => value <= bound,
  '>': (value, bound) => value > bound,
  '<': (value, bound) => value < bound,
};
