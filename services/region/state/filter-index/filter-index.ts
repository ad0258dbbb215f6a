/**
 * Filter index: which live items have which metadata, such that a filter costs in proportion to its result.
 *
 * Semantics, the same however a selection is found (`services/region/filter/filter.ts` is the definition): `in` and `not_in`
 * compare a value as text - `true`, `1990`, `music` -, and a `string[]` matches when any element does; the order operators match
 * numbers only. A missing field fails `in` and every order operator, and passes `not_in`.
 */
import type { Metadata } from '../../../../shared/protocol/events.ts';
import type { Filter } from '../../filter/filter.ts';
import type { BitmapImage } from './bitmap.ts';
import type { MemberPoolImage } from './member-pool.ts';
import type { NumberOrderImage } from './number-order.ts';
import type { TextTableImage } from './text-table.ts';

/** The live items that pass every filter; valid until the next write is applied. */
export interface Selection {
  /** Number of items. */
  readonly count: number;
  /** By {@link Entities} ordinal. */
  has(ordinal: number): boolean;
  /** Whether it has any ordinal from `first` to below `end`: one word access for up to 32 aligned ordinals. */
  any(first: number, end: number): boolean;
  /** The same as a bitmap, 32 ordinals a word, if it is one; read-only. */
  readonly words?: Int32Array;
  /** The same, valid for ever: for ordinals that are written to, as it was. */
  kept(): Selection;
  /** Each once, ascending. */
  forEach(visit: (ordinal: number) => void): void;
}

export interface FilterIndex {
  /**
   * Indexes the live item's metadata; `former`: its former metadata, undefined if it was not live. Indexing an item a second time
   * as new has no effect.
   */
  put(entity: number, metadata: Metadata, former: Metadata | undefined): void;
  /** Removes the item, whose metadata were `former`. Idempotent. */
  remove(entity: number, former: Metadata | undefined): void;
  /** The items that pass all filters; without any filter every live item. */
  select(filters: readonly Filter[]): Selection;
}

/** Filter index as plain data: built in one thread (`filter-index-gathering.ts`), adopted in another. */
export interface FilterIndexImage {
  readonly pool: MemberPoolImage;
  readonly live: BitmapImage;
  readonly fields: readonly {
    readonly name: string;
    readonly texts: TextTableImage;
    readonly numbers: NumberOrderImage;
  }[];
}

export interface AdoptsFilterIndex {
  /**
   * Adopts the index that was built from the live items; nothing was indexed here before. For an item that changed since and is
   * not indexed yet, `formerOf` returns its values at the time of the build; undefined for all others.
   */
  adopt(image: FilterIndexImage, formerOf: (entity: number) => Metadata | undefined): void;
}
