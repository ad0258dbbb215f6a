/**
 * Facets: which live items have which metadata, kept so that a filter costs in proportion to what it leaves.
 *
 * Semantics, the same however a selection is found (`metadata-test.ts` is the definition): `in` and `not_in` compare a
 * value as text - `true`, `1990`, `music` -, and a `string[]` matches when any element does; the order operators hold for
 * numbers only. A field the item lacks is in nothing: it fails `in` and every order operator, and passes `not_in`.
 */
import type { Metadata, MetadataValue } from '../../../../shared/protocol/events.ts';

/** `field:a|b`, `field:!a`, `field>=n` … over metadata. */
export interface Filter {
  readonly field: string;
  readonly operator: 'in' | 'not_in' | '>=' | '<=' | '>' | '<';
  /** For `in` and `not_in`: texts as written; for the others one number. */
  readonly values: readonly string[];
}

/** The live items that pass every filter, as they were when it was made: for use before the next write is applied. */
export interface Selection {
  /** How many there are. */
  readonly count: number;
  /** By {@link Entities} ordinal, as everything else here. */
  has(ordinal: number): boolean;
  /** Each once, ascending. */
  forEach(visit: (ordinal: number) => void): void;
}

export interface Facets {
  /** The live item's metadata, replacing what it had. */
  put(entity: number, metadata: Metadata): void;
  /** The item is gone. Idempotent. */
  remove(entity: number): void;
  /** All filters must hold; without any: every live item. */
  select(filters: readonly Filter[]): Selection;
}

/** What a value counts as where values are compared as text. */
export function textsOf(value: MetadataValue | undefined): readonly string[] {
  if (value === undefined) return [];
  return typeof value === 'object' ? value : [String(value)];
}
