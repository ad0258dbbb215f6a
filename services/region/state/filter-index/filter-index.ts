/**
 * Filter index: which live items have which metadata, such that a filter costs in proportion to its result. However a selection is
 * found, `services/region/filter/filter.ts` is its definition.
 */
import type { Steps } from '../../../../shared/kernel/steps.ts';
import type { Metadata } from '../../../../shared/protocol/events.ts';
import type { Filter } from '../../filter/filter.ts';
import type { Work } from '../../read-queue/read-queue.ts';
import type { BitmapImage } from './bitmap.ts';
import type { FieldTextsImage } from './field-texts.ts';
import type { MemberPoolImage } from './member-pool.ts';
import type { NumberOrderImage } from './number-order.ts';

/** The live items that pass every filter; valid until the next write is applied. */
export interface Selection {
  /** Number of items. */
  readonly count: number;
  /** By {@link Entities} ordinal. */
  has(ordinal: number): boolean;
  /** False only if it has no ordinal from `first` to below `end`: one word access for up to 32 aligned ordinals. */
  any(first: number, end: number): boolean;
  /** The same as a bitmap, 32 ordinals a word, if it is one; read-only. */
  readonly words?: Int32Array | undefined;
  /** The same, valid later as well: for ordinals that are written to, as it was. */
  kept(): Selection;
  /** Each once, ascending. */
  forEach(visit: (ordinal: number) => void): void;
}

/** The live items, whether they are indexed or not. */
export interface LiveItems {
  readonly size: number;
  /** Negative if the item with this ordinal is not live. */
  createdMs(ordinal: number): number;
}

export interface FilterIndex {
  /**
   * Indexes the metadata of an item that is live now, in place of `former`, undefined if it was not live. Indexing an item a
   * second time as new has no effect. A step is a value; until the last one nothing else is changed here, and `select` refused.
   */
  putting(entity: number, metadata: Metadata, former: Metadata | undefined): Steps;
  /** Removes the item, whose metadata were `former`. Idempotent. In steps as {@link putting}. */
  removing(entity: number, former: Metadata | undefined): Steps;
  /** In one go. */
  put(entity: number, metadata: Metadata, former: Metadata | undefined): void;
  remove(entity: number, former: Metadata | undefined): void;
  /** Number of distinct fields of the indexed items. */
  readonly fieldCount: number;
  /** Whether an indexed item has the field. */
  hasField(name: string): boolean;
  /** The items that pass all filters, as far as they are indexed; without any filter every live item. */
  select(filters: readonly Filter[]): Selection;
  /** The same, with the items that are not indexed yet; costs the more the more they are. Not without a filter. */
  selectPresent(filters: readonly Filter[]): Selection;
  /** The same, in slices of turns. */
  selecting(filters: readonly Filter[]): Selecting;
  /** The selection, undefined: every live item, without the items with these ids; as it is given if there are none. */
  excluding(selection: Selection | undefined, exclude: readonly number[]): Selection | undefined;
  /** The items of the selection that have none of these texts in the field, each of which was read from an item. */
  without(selection: Selection, field: string, texts: readonly string[]): Selection;
  /**
   * The number that each item has in the field, by ordinal, NaN: none; items beyond its end have none. Undefined if an item has
   * something else there. Nothing may be indexed between the steps.
   */
  numbersOf(field: string): Steps<Float64Array | undefined>;
  /**
   * The values of a field among the items of `words`, one bit an ordinal. Nothing may be indexed between the steps. `limit`: how
   * many of the values with the highest counts are wanted.
   */
  counting(field: string, words: Int32Array, limit: number, ranges?: readonly CountedRange[]): Steps<ValueCounts>;
}

/** From the lower bound, included, to the upper one, excluded: numbers, or epoch ms. */
export interface CountedRange {
  readonly of: 'number' | 'time';
  readonly from: number;
  readonly to: number;
}

/** Each with the number of items, the highest first, then by value. Times are texts. */
export interface ValueCounts {
  readonly numbers: readonly (readonly [value: number, count: number])[];
  /** In the form in which they are compared; none if ranges are asked for. */
  readonly texts: readonly (readonly [value: string, count: number])[];
  /** Items in each of the ranges. */
  readonly ranges: readonly number[];
  /** Of all numbers; absent: there are none. */
  readonly min?: number;
  readonly max?: number;
}

/** A selection that may take several turns; items may be indexed between them. */
export interface Selecting extends Work {
  /** The selection of this turn. Throws `Unfinished` if it is not done when `over`; without it, it is done in this turn. */
  now(over?: () => boolean): Selection;
}

/** Filter index as plain data: built in one thread (`filter-index-gathering.ts`), adopted in another. */
export interface FilterIndexImage {
  readonly pool: MemberPoolImage;
  readonly live: BitmapImage;
  readonly fields: readonly {
    readonly name: string;
    readonly texts: FieldTextsImage;
    readonly numbers: NumberOrderImage;
  }[];
}

export interface AdoptsFilterIndex {
  /** Adopts the index that was built from the live items; nothing was indexed here before. */
  adopt(image: FilterIndexImage): void;
}
