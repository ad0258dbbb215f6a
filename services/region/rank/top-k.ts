/**
 * The exact top items of a scorer, without scoring all items.
 *
 * Best first: from the root of the upper bounds down, the node with the highest bound is opened next; of equal bounds, the one
 * whose items may rank first among equals. When enough items were found and no remaining node can contain a better one than the
 * lowest of them, they are the answer, exactly as if every item had been scored, ties included. If the items of a block turn out
 * far below its bound, its upper bounds are lowered, so that the next search skips it.
 *
 * All items are scored one by one if that is cheaper: for a selection of few items; for a scorer whose bounds do not help, by its
 * own declaration (Infinity) or when a tenth of the items was scored without a result. If a scorer gives every item without
 * signals the same score, only those with signals are scored even then.
 *
 * Cost: with tight bounds about limit · height nodes; otherwise in proportion to the items that ever had a signal.
 *
 * A search that takes longer than a slice of a turn continues in later ones, between which items may be written to. It is as
 * exact as one in a single turn: excluded items are bounded by what it had seen, except for the items written to since, which are
 * scored again in the turn of the answer (`refresh`). If too many of those found are no longer among the top, it begins anew.
 */
import { assert } from '../../../shared/kernel/kernel.ts';
import { compareScored, type RankKey, type Scored, TopScores } from '../scored/scored.ts';
import type { Selection } from '../state/filter-index/filter-index.ts';
import { FAN_OUT, FAN_OUT_BITS, indexIn, lowestBit, type NodePage } from '../state/upper-bounds/upper-bounds.ts';
import { ItemLimits, NodeLimits } from './group-limits.ts';
import { AllRanked, ItemScan, RankedCount, type ScanParts, type TopKScorer } from './item-scan.ts';
import { type KnownBounds, KnownBoundsByRanking } from './known-bounds/known-bounds.ts';
import { NodeHeap } from './node-heap.ts';
import type { ItemRanking } from './rank.ts';
import type { Drawn, Ties } from './scorer.ts';
import type { SearchSlices, Sliced } from './sliced.ts';

export type { TopKScorer };

/** Selections of up to this many items are scored completely. */
const FEW_ITEMS = 256;
/** Maximum share of the items that is scored best first, and the number that is always allowed. */
const BEST_FIRST_PART = 1 / 10;
const BEST_FIRST_LEAST = 4_096;
/** A block is lowered when its best item is below this part of its bound. */
const TIGHTEN_BELOW = 0.9;
/** Items found beyond the limit by a search that begins anew, at first: this many may fall behind meanwhile. */
const FIRST_SPARE = 16;

const NEWER_FIRST: Ties = { of: (_, createdMs) => createdMs, bound: ({ newestMs }) => newestMs };

export interface TopKParts extends Omit<ScanParts, 'scorer' | 'past'> {
  /** The region's own read time: upper bounds are never lowered for a later one, whatever time a client gives. */
  readonly nowMs: () => number;
  readonly fewItems?: number;
  readonly bestFirstLeast?: number;
}

interface AskedParts extends TopKParts, ScanParts {
  readonly atMs: number;
  readonly onScored: (count: number) => void;
  /** Heaps that no search uses. */
  readonly heaps: NodeHeap[];
  readonly knownBounds: KnownBoundsByRanking;
}

export class TopK {
  private readonly parts: TopKParts;
  private readonly heaps: NodeHeap[] = [];
  private readonly knownBounds: KnownBoundsByRanking;
  /** How many items the last search scored: for tests and benchmarks. */
  scored = 0;

  constructor(parts: TopKParts) {
    this.parts = parts;
    this.knownBounds = new KnownBoundsByRanking(parts.upperBounds);
  }

  /**
   * `selection` undefined: all live items. `past`: scores count no event after `atMs`. `slices`: if it takes long it continues in
   * later turns, by throwing `Unfinished`; `name` distinguishes the rankings of one read.
   */
  ranking(
    scorer: TopKScorer,
    selection: Selection | undefined,
    { atMs, past = false, slices, name = '' }: RankingOptions,
  ): ItemRanking {
    const { parts } = this;
    const asked: AskedParts = {
      ...{ ...parts, scorer, atMs, past, heaps: this.heaps, knownBounds: this.knownBounds },
      onScored: (count) => {
        this.scored = count;
      },
    };
    const done = <T extends Sliced>(id: string, create: () => T): T => {
      const found = slices === undefined ? create() : slices.find(`${name} ${atMs} ${id}`, create);
      found.finish(selection, slices);
      return found;
    };
    return {
      get total() {
        if (scorer.gated) return done('total', () => new RankedCount(asked, selection)).count;
        return selection?.count ?? parts.catalog.size;
      },
      after(key, limit) {
        const id = `${limit} ${key === undefined ? '' : `${key.score} ${key.tie} ${key.entity}`}`;
        return done(id, () => new Search({ ...asked, key, limit }, selection)).found();
      },
      matches: () => done('matches', () => new AllRanked(asked, selection)).matches(),
    };
  }
}

export interface RankingOptions {
  readonly atMs: number;
  readonly past?: boolean;
  readonly slices?: SearchSlices | undefined;
  readonly name?: string;
}

interface SearchParts extends AskedParts {
  readonly key: RankKey | undefined;
  readonly limit: number;
}

class Search extends ItemScan<SearchParts> {
  private readonly ownLimits: ItemLimits;
  private readonly ties: Ties;
  /** Taken when the search begins, returned when it is done. */
  private heap: NodeHeap;
  private top: TopScores;
  private spare = 0;
  private scored = 0;
  /** In this slice. */
  private known: KnownBounds | undefined;
  /** No item that was left out of the present block scores more. */
  private leftOut = Number.NEGATIVE_INFINITY;
  private phase: 'begin' | 'best first' | 'scan' = 'begin';
  /** Once it is done, best first: the items beyond `floor` are below all of these, apart from those in `again`. */
  private best: readonly Scored[] = [];
  private floor: Scored | undefined;
  /** Entities that were written to, as they rank now; undefined: they do not. */
  private readonly again = new Map<number, Scored | undefined>();

  constructor(parts: SearchParts, selection: Selection | undefined) {
    super(parts, selection);
    assert(parts.limit >= 1, 'a search asks for at least one item', () => parts.limit);
    this.ownLimits = new ItemLimits(parts.upperBounds, parts.past);
    this.ties = parts.scorer.ties ?? NEWER_FIRST;
    this.top = new TopScores(parts.limit);
    this.heap = parts.heaps.pop() ?? new NodeHeap();
  }

  found(): readonly Scored[] {
    return this.present().slice(0, this.parts.limit);
  }

  protected advance(over: () => boolean): boolean {
    const { catalog, upperBounds, atMs, past } = this.parts;
    const { fewItems = FEW_ITEMS, bestFirstLeast = BEST_FIRST_LEAST } = this.parts;
    const items = this.selection?.count ?? catalog.size;
    const { steady } = this.parts.scorer;
    this.known = steady === undefined || past ? undefined : this.parts.knownBounds.of(steady, atMs);
    // Anew in each slice: which sums are wide enough depends on what was written since.
    const limits = new NodeLimits(upperBounds, atMs, past);
    if (this.phase === 'begin') {
      this.phase = items <= fewItems ? 'scan' : 'best first';
      this.heap.clear();
      if (this.phase === 'best first') this.push(limits, upperBounds.height, 0);
    }
    if (this.phase === 'best first') {
      const outcome = this.bestFirst(limits, Math.max(bestFirstLeast, items * BEST_FIRST_PART), over);
      if (outcome === 'over') return false;
      if (outcome === 'found') return this.finished();
      this.phase = 'scan';
      this.rewind();
      this.top = new TopScores(this.parts.limit + this.spare);
    }
    if (items <= fewItems && this.selection !== undefined) this.scoreSelection(this.selection);
    else if (items > 0 && !this.scanAll(over)) return false;
    return this.finished();
  }

  private finished(): true {
    this.parts.heaps.push(this.heap);
    this.best = this.top.sorted();
    this.floor = this.top.isFull ? this.best.at(-1) : undefined;
    this.parts.onScored(this.scored);
    return true;
  }

  protected refresh(entity: number, selection: Selection | undefined): void {
    const now = this.rankedNow(entity, selection);
    this.again.set(entity, now && this.candidate(entity, now.score, now.createdMs));
  }

  private candidate(entity: number, score: number, createdMs: number): Scored | undefined {
    const { key } = this.parts;
    const tie = this.ties.of(entity, createdMs);
    if (key !== undefined && !isAfter(key, score, tie, entity)) return undefined;
    const scored = tie === 0 ? { entity, score } : { entity, score, tie };
    return this.floor !== undefined && compareScored(this.floor, scored) < 0 ? undefined : scored;
  }

  protected isExact(): boolean {
    return this.floor === undefined || this.again.size === 0 || this.present().length >= this.parts.limit;
  }

  private present(): readonly Scored[] {
    if (this.again.size === 0) return this.best;
    const present = this.best.filter(({ entity }) => !this.again.has(entity));
    for (const scored of this.again.values()) if (scored !== undefined) present.push(scored);
    return present.sort(compareScored);
  }

  protected override restart(): void {
    super.restart();
    this.heap = this.parts.heaps.pop() ?? new NodeHeap();
    this.spare = this.spare === 0 ? FIRST_SPARE : this.spare * 4;
    this.top = new TopScores(this.parts.limit + this.spare);
    this.phase = 'begin';
    this.scored = 0;
    this.again.clear();
  }

  /** `abandoned` after about `limitScored` items. */
  private bestFirst(limits: NodeLimits, limitScored: number, over: () => boolean): 'found' | 'abandoned' | 'over' {
    const { upperBounds, atMs, nowMs } = this.parts;
    const { heap } = this;
    while (heap.pop()) {
      const { bound, tie, lowest, level, node } = heap;
      if (bound === Number.POSITIVE_INFINITY) return 'abandoned';
      if (!this.top.takes(lowest, bound, tie)) return 'found';
      if (level > 0) {
        const first = node << FAN_OUT_BITS;
        const end = level === 1 ? Math.min(first + FAN_OUT, upperBounds.blocks) : first + FAN_OUT;
        for (let child = first; child < end; child++) this.push(limits, level - 1, child);
      } else {
        if (this.scored > limitScored) return 'abandoned';
        const best = this.scoreBlock(node);
        this.known?.setBlock(node, Math.max(best, this.leftOut));
        if (best < bound * TIGHTEN_BELOW) upperBounds.tighten(node, Math.min(atMs, nowMs()));
      }
      if (over()) return 'over';
    }
    return 'found';
  }

  private push(nodeLimits: NodeLimits, level: number, node: number): void {
    const { upperBounds } = this.parts;
    const { heap, selection } = this;
    const page = upperBounds.page(level, node);
    const newestMs = page.newestMs[indexIn(node)]!;
    if (newestMs < 0) return;
    if (level === 0 && selection !== undefined) {
      const first = node << FAN_OUT_BITS;
      if (!selection.any(first, first + FAN_OUT)) return;
    }
    const limits = nodeLimits.of(page, node, newestMs);
    const bound = this.boundOf(page, level, node, limits);
    if (bound === Number.NEGATIVE_INFINITY) return;
    const tie = this.ties.bound(limits);
    const lowest = page.lowestEntity[indexIn(node)]!;
    if (this.top.takes(lowest, bound, tie)) heap.push(bound, tie, lowest, level, node);
  }

  private boundOf(page: NodePage, level: number, node: number, limits: NodeLimits): number {
    const known = this.known?.of(page, level, node) ?? Number.NaN;
    if (!Number.isNaN(known)) return known;
    const bound = this.parts.scorer.bound(limits);
    this.known?.set(level, node, bound);
    return bound;
  }

  /** Whether the item's magnitude shows that it is not a top item. */
  private isBelow(ordinal: number, entity: number, createdMs: number, active: boolean): boolean {
    if (!this.top.isFull) return false;
    const limits = this.ownLimits.of(ordinal, createdMs, active);
    const bound = this.parts.scorer.bound(limits);
    if (this.top.takes(entity, bound, this.ties.bound(limits))) return false;
    if (bound > this.leftOut) this.leftOut = bound;
    return true;
  }

  /** Scores the block's items that may be top items; returns the highest score of all of them, selected or not. */
  private scoreBlock(block: number): number {
    const { upperBounds, entities, catalog, scorer } = this.parts;
    const { selection } = this;
    let best = Number.NEGATIVE_INFINITY;
    this.leftOut = Number.NEGATIVE_INFINITY;
    for (let bits = upperBounds.live(block); bits !== 0; bits &= bits - 1) {
      const ordinal = (block << FAN_OUT_BITS) + lowestBit(bits);
      const entity = entities.entity(ordinal);
      const createdMs = catalog.createdMs(ordinal);
      if (this.isBelow(ordinal, entity, createdMs, (upperBounds.active(block) & bits & -bits) !== 0)) continue;
      const score = scorer.score(entity, createdMs);
      this.scored++;
      if (score > best) best = score;
      if (selection === undefined || selection.has(ordinal)) this.offer(entity, score, createdMs);
    }
    return best;
  }

  private scoreSelection(selection: Selection): void {
    const { entities, catalog, scorer } = this.parts;
    selection.forEach((ordinal) => {
      const entity = entities.entity(ordinal);
      const createdMs = catalog.createdMs(ordinal);
      this.scored++;
      this.offer(entity, scorer.score(entity, createdMs), createdMs);
    });
  }

  /** Items without signals are offered with their common score, if it is known; then others are skipped if they are below. */
  private scanAll(over: () => boolean): boolean {
    const { scorer } = this.parts;
    if (scorer.drawn !== undefined) return this.scanAllDrawn(over, scorer.drawn);
    let best = Number.NEGATIVE_INFINITY;
    this.leftOut = Number.NEGATIVE_INFINITY;
    return this.scan(over, {
      visit: (entity, score, createdMs) => {
        this.scored++;
        if (score > best) best = score;
        this.offer(entity, score, createdMs);
      },
      ...(scorer.quiet === undefined
        ? {}
        : { isSkipped: (entity, createdMs, ordinal) => this.isBelow(ordinal, entity, createdMs, true) }),
      skipsBlock: (block) => this.isKnownBelow(block),
      afterBlock: (block) => {
        if (this.selection === undefined) this.known?.setBlock(block, Math.max(best, this.leftOut));
        best = Number.NEGATIVE_INFINITY;
        this.leftOut = Number.NEGATIVE_INFINITY;
      },
    });
  }

  private scanAllDrawn(over: () => boolean, drawn: Drawn): boolean {
    return this.scanDrawn(over, drawn, (entity, score, createdMs) => {
      this.offer(entity, score, createdMs);
      return this.top.threshold;
    });
  }

  private isKnownBelow(block: number): boolean {
    if (this.known === undefined || !this.top.isFull) return false;
    const page = this.parts.upperBounds.page(0, block);
    return this.known.of(page, 0, block) < this.top.threshold;
  }

  private offer(entity: number, score: number, createdMs: number): void {
    const { key } = this.parts;
    // Most scores are below the lowest top score: then the tie is not needed.
    if (score === Number.NEGATIVE_INFINITY || score < this.top.threshold) return;
    const tie = this.ties.of(entity, createdMs);
    if (key !== undefined && !isAfter(key, score, tie, entity)) return;
    if (this.top.takes(entity, score, tie)) this.top.add(entity, score, tie);
  }
}

/** Whether an item ranks after the key, as `compareScored` orders them. */
function isAfter(key: RankKey, score: number, tie: number, entity: number): boolean {
  if (score !== key.score) return score < key.score;
  const keyTie = key.tie ?? 0;
  return tie < keyTie || (tie === keyTie && entity > key.entity);
}
