/**
 * Pages of anything ranked: feeds, text results and fused results use the same paging.
 *
 * A page begins at a *page start*: the keys (score and entity) at which earlier pages ended, not a count. So writes between two
 * pages move nothing else: an item whose score and whose value of the diversified field do not change is on exactly one of the
 * pages.
 *
 * Diversity (`max_per=category:2`) is one greedy scan down the ranking: an item one of whose values has had its share on this
 * page is skipped, and shown on a later page. If the ranking ends before the page is full, the best of the skipped ones fill it:
 * a result never shrinks, and is marked as relaxed. Items without the field are never skipped; one with several values
 * (`string[]`) counts for each.
 *
 * A page start stays small: of the items with the same set of values, a *kind*, the shown ones are always the first of their
 * kind. So one key a kind suffices, and kinds whose key is that of the rest need none. Two bounds keep it small, and both only
 * relax a page: a scan that has inspected 2,000 items fills its page from the skipped ones, and a page whose page start would
 * need more kinds than a cursor may name is in order of rank instead. The first bound is rarely reached if the ranking can be
 * requested `without` the values that have had their share.
 */

import { hash } from 'node:crypto';
import { assert } from '../../../shared/kernel/kernel.ts';
import { compareScored, type Ranking, type RankKey, rankingOf, type Scored } from '../scored/scored.ts';
import { SEEN_LIMIT, Seen } from './seen.ts';

/** At most `count` items of each value of the metadata field on a page. */
export interface MaxPer {
  readonly field: string;
  readonly count: number;
}

/** Where a page begins. */
export interface PagePosition {
  /** Items on the pages before. */
  readonly shown: number;
  /** Items down to and including this key were shown, of every kind that `kinds` does not name. Undefined: none. */
  readonly rest: RankKey | undefined;
  /** The same for kinds with another key, by their fingerprint. */
  readonly kinds: ReadonlyMap<string, RankKey>;
  /** What the pages before showed of a result whose scores change with every write; then there are no keys. */
  readonly seen?: Seen | undefined;
  /** Of a search by text: what its scores are computed with on every page. */
  readonly statistics?: Uint8Array | undefined;
  /** Of a search that weighs a profile: the profile's scores of the first page's result. */
  readonly range?: ScoreRange | undefined;
}

export interface ScoreRange {
  readonly lowest: number;
  readonly highest: number;
}

export const firstPosition: PagePosition = { shown: 0, rest: undefined, kinds: new Map() };

export interface PageOptions {
  /** 1 or more. */
  readonly limit: number;
  readonly from: PagePosition;
  readonly diversity?: Diversity | undefined;
  /** Maximum number of kinds in the next page start; {@link KINDS_LIMIT} if absent. */
  readonly kindsLimit?: number;
}

export interface Diversity {
  readonly count: number;
  /** An item's values of the field; constant for an entity while the page is built. */
  valuesOf(entity: number): readonly string[];
  /** The same ranking without the items that have any of these values, if that is cheaper than skipping them. */
  without?(values: readonly string[]): Ranking;
}

export interface Page {
  readonly items: readonly Scored[];
  /** Undefined: nothing follows. */
  readonly next: PagePosition | undefined;
  /** Whether a value has more than its share here. */
  readonly relaxed: boolean;
}

/** The page of `ranking` that begins at `from`. Requests no more of the ranking than it inspects. */
export function takePage(ranking: Ranking, options: PageOptions): Page {
  const { limit, from, diversity, kindsLimit = KINDS_LIMIT } = options;
  if (diversity !== undefined) return takeDiverse(ranking, { limit, from, diversity, kindsLimit });
  const found = ranking.after(from.rest, limit + 1);
  const items = found.slice(0, limit);
  if (found.length <= limit) return { items, next: undefined, relaxed: false };
  return { items, next: { ...from, shown: from.shown + limit, rest: items.at(-1) }, relaxed: false };
}

/**
 * The page of a ranking by scores that every write changes: `entities` are all of it, best first; each item is shown once, as long
 * as it is in the result. The result ends when {@link SEEN_LIMIT} were shown.
 */
export function takeUnseenPage(all: readonly Scored[], { limit, from, diversity }: PageOptions): Page {
  const seen = from.seen ?? Seen.none(all.map(({ entity }) => entity));
  const { shown } = from;
  const wanted = Math.min(limit, SEEN_LIMIT - seen.size);
  if (wanted <= 0) return { items: [], next: undefined, relaxed: false };
  const unseen = rankingOf(all.filter(({ entity }) => !seen.has(entity)));
  const start = { ...firstPosition, shown };
  const page = takePage(unseen, { limit: wanted, from: start, diversity, kindsLimit: Number.POSITIVE_INFINITY });
  const next = seen.with(page.items.map(({ entity }) => entity));
  const isEnd = page.next === undefined || next.size >= SEEN_LIMIT;
  return { ...page, next: isEnd ? undefined : { ...firstPosition, shown: page.next.shown, seen: next } };
}

/** Cursors: a page start as text, which a client returns and cannot modify. */
export interface Cursors {
  /** `identity`: everything that decides the ranking and the size of its pages. `atMs`: the read time of the ranking. */
  write(identity: readonly unknown[], atMs: number, place: PagePosition): string;
  /** How many kinds a page start may have beside the statistics, with an order of so many bytes in each key. */
  kindsLimit(statistics: Uint8Array | undefined, orderBytes?: number): number;
  /** `not_ours`: no region with this secret and schema signed it; `other_query`: it was signed for another identity. */
  read(
    cursor: string,
    identity: readonly unknown[],
  ): { readonly atMs: number; readonly place: PagePosition } | 'not_ours' | 'other_query';
}

/** A page with at most so many items of a value. See `pages.ts`. */
/** How many items a page inspects for values that have not had their share. */
export const REACH = 2_000;
/** Maximum number of kinds in a page start: a cursor fits a request line. */
export const KINDS_LIMIT = 200;
/** Bytes of a kind's fingerprint: among 10,000 kinds two collide in one feed of five million. */
export const KIND_BYTES = 6;

/** After this many skipped items the ranking is requested without the values that have had their share. */
const PATIENCE = 128;

const PULL_LEAST = 64;
const PULL_MOST = 1_024;

/** An item that no page has shown yet. */
interface Unshown {
  readonly item: Scored;
  readonly kind: Kind;
  /** The item that the scan inspected before; undefined: none, on no page. */
  readonly before: RankKey | undefined;
}

interface Kind {
  /** Fingerprint of the set of values: the same in every process. */
  readonly id: string;
  readonly values: readonly string[];
}

export function takeDiverse(
  ranking: Ranking,
  { limit, from, diversity, kindsLimit }: PageOptions & { readonly diversity: Diversity; readonly kindsLimit: number },
): Page {
  const pass = new Pass(ranking, limit, from, diversity);
  const shares = new Shares(diversity.count);
  const taken: Unshown[] = [];
  const passedOver: Unshown[] = [];
  let narrowedAt = 0;
  while (taken.length < limit && (pass.looks < REACH || taken.length + passedOver.length < limit)) {
    const found = pass.next();
    if (found === undefined) break;
    if (shares.left(found.kind)) {
      shares.take(found.kind);
      taken.push(found);
      continue;
    }
    passedOver.push(found);
    if (passedOver.length - narrowedAt < PATIENCE || taken.length + passedOver.length <= limit) continue;
    // In every case the page is full and one item is left over, all inspected already: items that are not inspected now are not
    // missed.
    const narrower = diversity.without?.(shares.spent);
    if (narrower !== undefined) pass.narrow(narrower);
    narrowedAt = passedOver.length;
  }
  const filled = passedOver.splice(0, limit - taken.length);
  const page = [...taken, ...filled];
  // At least the first of the remaining items is known.
  const beyond = passedOver.length === 0 ? pass.next() : undefined;
  const left = beyond === undefined ? passedOver : [beyond];
  const answer = (items: readonly Unshown[], next: PagePosition | undefined): Page => ({
    items: items.map(({ item }) => item),
    next,
    relaxed: exceeds(items, diversity.count),
  });
  if (left.length === 0) return answer(page, undefined);
  const next = pass.placeAfter(page, left);
  if (next.kinds.size <= kindsLimit) return answer(page, next);
  const inOrder = [...page, ...left].sort((a, b) => compareScored(a.item, b.item));
  const first = inOrder.slice(0, limit);
  const place = pass.placeAfter(first, inOrder.slice(limit));
  assert(place.kinds.size <= kindsLimit, 'a page in rank order adds no kind to a place', () => place.kinds.size);
  return answer(first, place);
}

/** Down the ranking, past what was shown. */
class Pass {
  private ranking: Ranking;
  private readonly from: PagePosition;
  private readonly diversity: Diversity;
  private readonly kinds = new Map<string, Kind>();
  private pulled: readonly Scored[] = [];
  private at = 0;
  private ended = false;
  private pull: number;
  /** The last inspected item; before the first one, the key at which shown and unshown items begin to be mixed. */
  private seenTo: RankKey | undefined;
  /** The key at which the ranking was narrowed first: from there on not everything was inspected. */
  private narrowedAt: RankKey | undefined;
  looks = 0;

  constructor(ranking: Ranking, limit: number, from: PagePosition, diversity: Diversity) {
    this.pull = Math.max(PULL_LEAST, limit + 1);
    this.ranking = ranking;
    this.from = from;
    this.diversity = diversity;
    const keys = [...from.kinds.values(), ...(from.rest === undefined ? [] : [from.rest])];
    this.seenTo = from.rest === undefined ? undefined : keys.reduce((best, key) => (above(key, best) ? key : best));
  }

  next(): Unshown | undefined {
    for (;;) {
      const item = this.pulled[this.at];
      if (item === undefined) {
        if (this.ended) return undefined;
        this.pulled = this.ranking.after(this.seenTo, this.pull);
        this.at = 0;
        this.ended = this.pulled.length < this.pull;
        this.pull = Math.min(this.pull * 2, PULL_MOST);
        continue;
      }
      this.at++;
      this.looks++;
      const before = this.seenTo;
      this.seenTo = item;
      const kind = this.kindOf(item.entity);
      if (above(this.from.kinds.get(kind.id) ?? this.from.rest, item)) return { item, kind, before };
    }
  }

  /** Continues on another ranking: the same without kinds of which items were skipped. */
  narrow(ranking: Ranking): void {
    this.narrowedAt ??= this.seenTo;
    this.ranking = ranking;
    this.pulled = [];
    this.at = 0;
    this.ended = false;
    this.pull = PULL_LEAST;
  }

  /**
   * The page start after `page`. Of all items that this scan has inspected, `left` remain unshown, in order of rank and not
   * empty. Before the ranking was narrowed, the scan saw the first of `left`.
   */
  placeAfter(page: readonly Unshown[], left: readonly Unshown[]): PagePosition {
    const { rest } = this.from;
    const shownTo = new Map(this.from.kinds);
    for (const { item, kind } of page) shownTo.set(kind.id, item);
    // Of each kind that has one, in rank order: the first of it that remains.
    const remains = new Map<string, Unshown>();
    for (const unshown of left) if (!remains.has(unshown.kind.id)) remains.set(unshown.kind.id, unshown);
    const places = [rest, left[0]!.before, this.seenAllTo]
      .filter((key) => !above(key, rest))
      .map((key) => ({ rest: key, kinds: this.kindsBeside(key, shownTo, remains) }));
    const place = places.reduce((best, each) => (each.kinds.size < best.kinds.size ? each : best));
    return { shown: this.from.shown + page.length, ...place };
  }

  /** The kinds to be named if all others are at `rest`, which is at the old rest or below it. */
  private kindsBeside(
    rest: RankKey | undefined,
    shownTo: ReadonlyMap<string, RankKey>,
    remains: ReadonlyMap<string, Unshown>,
  ): Map<string, RankKey> {
    const named = new Map<string, RankKey>();
    const allSeen = !above(this.seenAllTo, rest);
    for (const [id, key] of shownTo) {
      // Above the rest: a kind may only be set to the rest if this scan has seen that it has nothing in between.
      if (above(rest, key) || (above(key, rest) && !allSeen)) named.set(id, key);
    }
    for (const [id, { item, before }] of remains) {
      if (above(rest, item)) continue;
      assert(before !== undefined, 'the best of what is left is on the page');
      named.set(id, before);
    }
    return named;
  }

  private get seenAllTo(): RankKey | undefined {
    return this.narrowedAt ?? this.seenTo;
  }

  private kindOf(entity: number): Kind {
    const values = this.diversity.valuesOf(entity);
    const name = values.length === 1 ? values[0]! : JSON.stringify([...new Set(values)].sort());
    let kind = this.kinds.get(name);
    if (kind === undefined) {
      const id = hash('sha256', `${values.length === 1 ? 'one' : 'set'} ${name}`, 'buffer').toString(
        'hex',
        0,
        KIND_BYTES,
      );
      kind = { id, values: [...new Set(values)] };
      this.kinds.set(name, kind);
    }
    return kind;
  }
}

/** Number of items of each value on this page. */
class Shares {
  private readonly count: number;
  private readonly had = new Map<string, number>();

  constructor(count: number) {
    this.count = count;
  }

  left({ values }: Kind): boolean {
    return values.every((value) => (this.had.get(value) ?? 0) < this.count);
  }

  /** The values that have had their share. */
  get spent(): string[] {
    return [...this.had].filter(([, count]) => count >= this.count).map(([value]) => value);
  }

  take({ values }: Kind): void {
    for (const value of values) this.had.set(value, (this.had.get(value) ?? 0) + 1);
  }
}

function exceeds(items: readonly Unshown[], count: number): boolean {
  const shares = new Shares(count);
  return items.some(({ kind }) => {
    const left = shares.left(kind);
    shares.take(kind);
    return !left;
  });
}

/** Whether key `a` ranks before key `b`; undefined ranks before everything. */
function above(a: RankKey | undefined, b: RankKey | undefined): boolean {
  if (b === undefined) return false;
  return a === undefined || compareScored(a, b) < 0;
}
