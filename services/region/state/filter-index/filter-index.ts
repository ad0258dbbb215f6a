/**
 * Filter index: which live items have which metadata, kept so that a filter costs in proportion to what it leaves.
 *
 * Semantics, the same however a selection is found (`services/region/filter/filter.ts` is the definition): `in` and `not_in` compare a
 * value as text - `true`, `1990`, `music` -, and a `string[]` matches when any element does; the order operators hold for
 * numbers only. A field the item lacks is in nothing: it fails `in` and every order operator, and passes `not_in`.
 */
import type { Metadata } from '../../../../shared/protocol/events.ts';
import type { Filter } from '../../filter/filter.ts';
import type { BitmapImage } from './bitmap.ts';
import type { MemberPoolImage } from './member-pool.ts';
import type { NumberOrderImage } from './number-order.ts';
import type { TextTableImage } from './text-table.ts';

/** The live items that pass every filter, as they were when it was made: for use before the next write is applied. */
export interface Selection {
  /** How many there are. */
  readonly count: number;
  /** By {@link Entities} ordinal, as everything else here. */
  has(ordinal: number): boolean;
  /** Whether any ordinal from `first` to below `end` is among them: one look for up to 32 that are aligned by their number. */
  any(first: number, end: number): boolean;
  /** The same as a bitmap, 32 ordinals a word, where it is one: to be copied, not changed. */
  readonly words?: Int32Array;
  /** Each once, ascending. */
  forEach(visit: (ordinal: number) => void): void;
}

export interface FilterIndex {
  /**
   * The live item's metadata; `former`, what it had so far: undefined for one that was not live. Nothing happens to an item
   * that is told a second time as if it were new.
   */
  put(entity: number, metadata: Metadata, former: Metadata | undefined): void;
  /** The item, which had `former`, is gone. Idempotent. */
  remove(entity: number, former: Metadata | undefined): void;
  /** All filters must hold; without any: every live item. */
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
   * Takes over what was built of the live items; nothing was told so far. `formerOf` answers, as long as there is such an
   * item, what one had then that is another by now and was not told since; undefined for all others.
   */
  adopt(image: FilterIndexImage, formerOf: (entity: number) => Metadata | undefined): void;
}
