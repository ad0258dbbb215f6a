/**
 * Filters over metadata: how one is written (`filter=` and the boosts of profiles), and its definition: a predicate over one
 * item's metadata.
 *
 * `in` and `not_in` compare a value as text: `true`, `1990`, `music`; a `string[]` matches when any element does. The order
 * operators match numbers only. A missing field fails `in` and every order operator, and passes `not_in`.
 */
import type { Metadata, MetadataValue } from '../../../shared/protocol/events.ts';

/** `field:a|b`, `field:!a`, `field>=n` … over metadata. */
export interface Filter {
  readonly field: string;
  readonly operator: 'in' | 'not_in' | '>=' | '<=' | '>' | '<';
  /** For `in` and `not_in`: texts as written; for the others one number. */
  readonly values: readonly string[];
}

export const filterSyntax = 'filters are field:value, field:a|b, field:!a, field>=1990, and with <=, > and < likewise';

const shape = /^([^:<>]+)(:|>=|<=|>|<)(.*)$/s;
const number = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;

/** The filter, or what is wrong with the text (completes “the filter …”). */
export function readFilter(text: string): Filter | { readonly problem: string } {
  const match = shape.exec(text);
  if (match === null) return { problem: 'must name a field, an operator (: >= <= > <) and a value' };
  const [, field, operator, rest] = match as unknown as [string, string, ':' | '>=' | '<=' | '>' | '<', string];
  if (operator === ':') return readValues(field, rest);
  if (!number.test(rest) || !Number.isFinite(Number(rest))) {
    return { problem: `compares by ${operator} with something that is not a number` };
  }
  return { field, operator, values: [rest] };
}

function readValues(field: string, rest: string): Filter | { readonly problem: string } {
  const negated = rest.startsWith('!');
  const values = (negated ? rest.slice(1) : rest).split('|');
  if (values.includes('')) return { problem: 'has an empty value' };
  if (values.some((value) => value.startsWith('!'))) return { problem: 'may have one ! only, before all values' };
  return { field, operator: negated ? 'not_in' : 'in', values };
}

/** The text of a value for comparisons as text. */
export function textsOf(value: MetadataValue | undefined): readonly string[] {
  if (value === undefined) return [];
  return typeof value === 'object' ? value : [String(value)];
}

export type MetadataTest = (metadata: Metadata) => boolean;

/** All filters as one test. */
export function compileFilters(filters: readonly Filter[]): MetadataTest {
  const tests = filters.map(compileFilter);
  return (metadata) => tests.every((test) => test(metadata));
}

function compileFilter({ field, operator, values }: Filter): MetadataTest {
  const read = (metadata: Metadata): MetadataValue | undefined =>
    Object.hasOwn(metadata, field) ? metadata[field] : undefined;
  if (operator === 'in' || operator === 'not_in') {
    const wanted = new Set(values);
    const present: MetadataTest = (metadata) => textsOf(read(metadata)).some((text) => wanted.has(text));
    return operator === 'in' ? present : (metadata) => !present(metadata);
  }
  const bound = Number(values[0]);
  const holds = orders[operator];
  return (metadata) => {
    const value = read(metadata);
    return typeof value === 'number' && holds(value, bound);
  };
}

const orders: Readonly<Record<'>=' | '<=' | '>' | '<', (value: number, bound: number) => boolean>> = {
  '>=': (value, bound) => value >= bound,
  '<=': (value, bound) => value <= bound,
  '>': (value, bound) => value > bound,
  '<': (value, bound) => value < bound,
};
