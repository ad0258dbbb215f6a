/**
 * The definition of a filter: one item's metadata, yes or no.
 *
 * `in` and `not_in` compare a value as text: `true`, `1990`, `music`; a `string[]` matches when any element does. The
 * order operators hold for numbers only. A field the item lacks is in nothing: it fails `in` and every order operator, and
 * passes `not_in`.
 */
import type { Metadata, MetadataValue } from '../../../../shared/protocol/events.ts';
import { type Filter, textsOf } from './facets.ts';

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
