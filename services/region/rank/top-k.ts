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
 */
import { assert } from '../../../shared/kernel/kernel.ts';
import { byWindow, type Window } from '../schema/schema.ts';
import type { Ranking, RankKey } from '../scored/scored.ts';
import { type Scored, TopScores } from '../scored/scored.ts';
import type { Catalog } from '../state/catalog/catalog.ts';
import type { Entities } from '../state/entities/entities.ts';
import type { Selection } from '../state/filter-index/filter-index.ts';
import {
  FAN_OUT,
  FAN_OUT_BITS,
  indexIn,
  lowestBit,
  type NodePage,
  type UpperBounds,
} from '../state/upper-bounds/upper-bounds.ts';
import { NodeHeap } from './node-heap.ts';
import type { Limits, Scorer, Ties } from './scorer.ts';

/** Selections of up to this many items are scored completely. */
const FEW_ITEMS = 256;
/** Maximum share of the items that is scored best first, and the number that is always allowed. */
const BEST_FIRST_PART = 1 / 10;
const BEST_FIRST_LEAST = 4_096;
/** A block is lowered when its best item is below this part of its bound. */
const TIGHTEN_BELOW = 0.9;
/** A decayed score from its sort key is off by 1e-8 of it at most. */
const DECAY_SLACK = 1 + 1e-7;

export type TopKScorer = Pick<Scorer, 'score' | 'bound' | 'ties' | 'gated' | 'quiet'>;

const NEWER_FIRST: Ties = { of: (_, createdMs) => createdMs, bound: ({ newestMs }) => newestMs };

export interface TopKParts {
  readonly entities: Entities;
  readonly catalog: Pick<Catalog, 'size' | 'createdMs'>;
  readonly upperBounds: UpperBounds;
  /** The region's own read time: upper bounds are never lowered for a later one, whatever time a client gives. */
  readonly nowMs: () => number;
  readonly fewItems?: number;
}

export class TopK {
  private readonly parts: TopKParts;
  private readonly heap = new NodeHeap();
  /** How many items the last search scored: for tests and benchmarks. */
  scored = 0;

  constructor(parts: TopKParts) {
    this.parts = parts;
  }

  /** `selection` undefined: all live items. `past`: scores count no event after `atMs`. */
  ranking(scorer: TopKScorer, selection: Selection | undefined, atMs: number, past = false): Ranking {
    const asked = this.searchParts(scorer, selection, atMs, past);
    const total = (): number => {
      if (scorer.gated) return this.countRanked(asked);
      return selection?.count ?? this.parts.catalog.size;
    };
    let counted: number | undefined;
    return {
      get total() {
        counted ??= total();
        return counted;
      },
      after: (key, limit) => new Search({ ...asked, key, limit }).best(),
    };
  }

  private searchParts(scorer: TopKScorer, selection: Selection | undefined, atMs: number, past: boolean): SearchParts {
    return {
      ...this.parts,
      scorer,
      selection,
      atMs,
      past,
      heap: this.heap,
      onScored: (count) => {
        this.scored = count;
      },
    };
  }

  private countRanked(asked: SearchParts): number {
    let count = 0;
    const search = new Search({ ...asked, key: undefined, limit: 1 });
    search.scan((_, score) => {
      if (score !== Number.NEGATIVE_INFINITY) count++;
    });
    return count;
  }
}

interface SearchParts extends TopKParts {
  readonly scorer: TopKScorer;
  readonly selection: Selection | undefined;
  readonly atMs: number;
  readonly past: boolean;
  readonly heap: NodeHeap;
  readonly onScored: (count: number) => void;
}

class Search {
  private readonly parts: SearchParts & { readonly key: RankKey | undefined; readonly limit: number };
  private readonly limits: NodeLimits;
  private readonly ownLimits: ItemLimits;
  private readonly ties: Ties;
  private top: TopScores;
  private scored = 0;

  constructor(parts: SearchParts & { readonly key: RankKey | undefined; readonly limit: number }) {
    assert(parts.limit >= 1, 'a search asks for at least one item', () => parts.limit);
    this.parts = parts;
    parts.upperBounds.catchUp();
    this.limits = new NodeLimits(parts.upperBounds, parts.atMs, parts.past);
    this.ownLimits = new ItemLimits(parts.upperBounds, parts.past);
    this.ties = parts.scorer.ties ?? NEWER_FIRST;
    this.top = new TopScores(parts.limit);
  }

  best(): readonly Scored[] {
    const { selection, catalog, fewItems = FEW_ITEMS } = this.parts;
    const items = selection?.count ?? catalog.size;
    if (items > 0 && (items <= fewItems || !this.bestFirst(Math.max(BEST_FIRST_LEAST, items * BEST_FIRST_PART)))) {
      this.top = new TopScores(this.parts.limit);
      if (items <= fewItems && selection !== undefined) this.scoreSelection(selection);
      else this.scan((entity, score, createdMs) => this.offer(entity, score, createdMs), true);
    }
    this.parts.onScored(this.scored);
    return this.top.sorted();
  }

  /** False if it was abandoned after about `limitScored` items. */
  private bestFirst(limitScored: number): boolean {
    const { upperBounds, heap, atMs, nowMs } = this.parts;
    heap.clear();
    this.push(upperBounds.height, 0);
    while (heap.pop()) {
      const { bound, tie, lowest, level, node } = heap;
      if (bound === Number.POSITIVE_INFINITY) return false;
      if (!this.top.takes(lowest, bound, tie)) return true;
      if (level > 0) {
        const first = node << FAN_OUT_BITS;
        const end = level === 1 ? Math.min(first + FAN_OUT, upperBounds.blocks) : first + FAN_OUT;
        for (let child = first; child < end; child++) this.push(level - 1, child);
        continue;
      }
      if (this.scored > limitScored) return false;
      const best = this.scoreBlock(node);
      if (best < bound * TIGHTEN_BELOW) upperBounds.tighten(node, Math.min(atMs, nowMs()));
    }
    return true;
  }

  private push(level: number, node: number): void {
    const { upperBounds, heap, scorer, selection } = this.parts;
    const page = upperBounds.page(level, node);
    const newestMs = page.newestMs[indexIn(node)]!;
    if (newestMs < 0) return;
    if (level === 0 && selection !== undefined) {
      const first = node << FAN_OUT_BITS;
      if (!selection.any(first, first + FAN_OUT)) return;
    }
    const limits = this.limits.of(page, node, newestMs);
    const bound = scorer.bound(limits);
    if (bound === Number.NEGATIVE_INFINITY) return;
    const tie = this.ties.bound(limits);
    const lowest = page.lowestEntity[indexIn(node)]!;
    if (this.top.takes(lowest, bound, tie)) heap.push(bound, tie, lowest, level, node);
  }

  /** Whether the item's magnitude shows that it is not a top item. */
  private isBelow(ordinal: number, entity: number, createdMs: number, active: boolean): boolean {
    if (!this.top.isFull) return false;
    const limits = this.ownLimits.of(ordinal, createdMs, active);
    return !this.top.takes(entity, this.parts.scorer.bound(limits), this.ties.bound(limits));
  }

  /** Scores the block's items that may be top items; returns the highest score of all of them, selected or not. */
  private scoreBlock(block: number): number {
    const { upperBounds, entities, catalog, scorer, selection } = this.parts;
    let best = Number.NEGATIVE_INFINITY;
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

  /**
   * Every item of the selection with its score; those without signals by their common score, if it is known. `bestOnly`: items
   * that are certainly not top items may be skipped.
   */
  scan(visit: (entity: number, score: number, createdMs: number) => void, bestOnly = false): void {
    const { upperBounds, entities, catalog, scorer, selection } = this.parts;
    const { quiet } = scorer;
    for (let block = 0; block < upperBounds.blocks; block++) {
      const live = upperBounds.live(block);
      if (live === 0) continue;
      const active = quiet === undefined ? live : upperBounds.active(block);
      for (let bits = live; bits !== 0; bits &= bits - 1) {
        const ordinal = (block << FAN_OUT_BITS) + lowestBit(bits);
        if (selection !== undefined && !selection.has(ordinal)) continue;
        const entity = entities.entity(ordinal);
        const createdMs = catalog.createdMs(ordinal);
        if ((active & bits & -bits) === 0) {
          visit(entity, quiet!, createdMs);
          continue;
        }
        if (bestOnly && quiet !== undefined && this.isBelow(ordinal, entity, createdMs, true)) continue;
        this.scored++;
        visit(entity, scorer.score(entity, createdMs), createdMs);
      }
    }
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

/** The limits of one node after the other. */
class NodeLimits implements Limits {
  newestMs = -1;
  newestActiveMs = -1;
  private page: NodePage;
  private node = 0;
  private readonly upperBounds: UpperBounds;
  private readonly atMs: number;
  /** Minima are over all events: in the past an item may have had less. */
  private readonly past: boolean;
  private readonly columns: Readonly<Record<Window, number>>;

  constructor(upperBounds: UpperBounds, atMs: number, past: boolean) {
    this.upperBounds = upperBounds;
    this.past = past;
    this.page = upperBounds.page(0, 0);
    this.atMs = atMs;
    this.columns = byWindow((window) => upperBounds.columnOf(window, atMs));
  }

  of(page: NodePage, node: number, newestMs: number): this {
    this.page = page;
    this.node = node;
    this.newestMs = newestMs;
    this.newestActiveMs = page.newestActiveMs[indexIn(node)]!;
    return this;
  }

  sum(signal: number, window: Window): number {
    return this.upperBounds.sum(this.page, this.node, signal, this.columns[window]);
  }

  min(signal: number): number {
    return this.past ? 0 : this.upperBounds.lowest(this.page, this.node, signal);
  }

  decayed(signal: number): number {
    return this.upperBounds.decayed(this.page, this.node, signal, this.atMs) * DECAY_SLACK;
  }
}

/** The limits of one item, from its magnitude. No window exceeds the total. */
class ItemLimits implements Limits {
  newestMs = -1;
  newestActiveMs = -1;
  private ordinal = 0;
  private readonly upperBounds: UpperBounds;
  private readonly past: boolean;

  constructor(upperBounds: UpperBounds, past: boolean) {
    this.upperBounds = upperBounds;
    this.past = past;
  }

  of(ordinal: number, createdMs: number, active: boolean): this {
    this.ordinal = ordinal;
    this.newestMs = createdMs;
    this.newestActiveMs = active ? createdMs : -1;
    return this;
  }

  sum(signal: number): number {
    return this.upperBounds.magnitudes.atMost(this.ordinal, signal);
  }

  min(signal: number): number {
    return this.past ? 0 : this.upperBounds.magnitudes.atLeast(this.ordinal, signal);
  }

  decayed(): number {
    return Number.POSITIVE_INFINITY;
  }
}
