/**
 * Pages of anything ranked: feeds, text hits and fused results go through a ranking in one way.
 *
 * A page begins at a *place*: the keys (score and entity) that pages before it came to, not a count. So what is written
 * between two pages moves nothing else: an item whose score and whose value of the diversified field stay as they are is
 * on exactly one of the pages.
 *
 * Diversity (`max_per=category:2`) is one greedy pass down the ranking: an item one of whose values has had its share on
 * this page is passed over, and comes on a later page. When the ranking ends before the page is full, the best of those
 * passed over fill it: a result never shrinks, and says that it was relaxed. Items without the field are never passed over;
 * one with several values (`string[]`) counts for each.
 *
 * Why a place stays small: of the items with the same set of values, a *kind*, those that were shown are always the first
 * of their kind, whatever was passed over. One key a kind says it all, and kinds that stand where the rest stands need none.
 * Two bounds keep it so, and both only ever relax: a pass that has looked at 2,000 items fills its page from what it
 * has passed over, and a page whose place would need more kinds than a cursor may name is taken in rank order instead. The
 * first is hardly ever met where the ranking can be asked for `without` the values that have had their share.
 */
import type { Ranking, RankKey } from '../../../shared/kernel/ranking.ts';
import type { Scored } from '../../../shared/kernel/top-scores.ts';
import { takeDiverse } from './diverse-page.ts';

/** At most `count` items of each value of the metadata field on a page. */
export interface MaxPer {
  readonly field: string;
  readonly count: number;
}

/** Where a page begins. */
export interface PagePosition {
  /** Items on the pages before. */
  readonly shown: number;
  /** Items down to this key, it included, were shown, of every kind that `kinds` does not name. Undefined: none. */
  readonly rest: RankKey | undefined;
  /** The same for kinds that stand elsewhere, by their fingerprint. */
  readonly kinds: ReadonlyMap<string, RankKey>;
}

export const firstPosition: PagePosition = { shown: 0, rest: undefined, kinds: new Map() };

export interface PageOptions {
  /** 1 or more. */
  readonly limit: number;
  readonly from: PagePosition;
  readonly diversity?: Diversity | undefined;
}

export interface Diversity {
  readonly count: number;
  /** An item's values of the field; the same for one entity while the page is made. */
  valuesOf(entity: number): readonly string[];
  /** The same ranking without the items that have any of these values, where that is cheaper than to pass over them. */
  without?(values: readonly string[]): Ranking;
}

export interface Page {
  readonly items: readonly Scored[];
  /** Undefined: nothing follows. */
  readonly next: PagePosition | undefined;
  /** Whether a value has more than its share here. */
  readonly relaxed: boolean;
}

/** The page of `ranking` that begins at `from`. Asks the ranking for no more than it looks at. */
export function takePage(ranking: Ranking, { limit, from, diversity }: PageOptions): Page {
  if (diversity !== undefined) return takeDiverse(ranking, limit, from, diversity);
  const found = ranking.after(from.rest, limit + 1);
  const items = found.slice(0, limit);
  if (found.length <= limit) return { items, next: undefined, relaxed: false };
  return { items, next: { ...from, shown: from.shown + limit, rest: items.at(-1) }, relaxed: false };
}

/** Cursors: a place in words a client hands back, and cannot change. */
export interface Cursors {
  /** `identity`: everything that decides the ranking and the size of its pages. `atMs`: the moment it is ranked at. */
  write(identity: readonly unknown[], atMs: number, place: PagePosition): string;
  /** `not_ours`: no region with this secret and schema gave it; `other_query`: one did, for another identity. */
  read(
    cursor: string,
    identity: readonly unknown[],
  ): { readonly atMs: number; readonly place: PagePosition } | 'not_ours' | 'other_query';
}
