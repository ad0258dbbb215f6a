/** Scans over all items of a selection, block by block; and the count of those that a profile with gates ranks. */
import type { Matches } from '../scored/scored.ts';
import type { Catalog } from '../state/catalog/catalog.ts';
import { ENTITIES_AT_ONCE, type Entities } from '../state/entities/entities.ts';
import type { Selection } from '../state/filter-index/filter-index.ts';
import { grown } from '../state/memory/memory.ts';
import { FAN_OUT, FAN_OUT_BITS, lowestBit, type UpperBounds } from '../state/upper-bounds/upper-bounds.ts';
import type { Drawn, Scorer } from './scorer.ts';
import { Sliced, type SlicedParts } from './sliced.ts';

/** Blocks between two checks of the clock. */
const BLOCKS_AT_ONCE = 4;

export type TopKScorer = Pick<Scorer, 'score' | 'bound' | 'ties' | 'gated' | 'quiet' | 'steady' | 'drawn'>;

export interface ScanParts extends SlicedParts {
  readonly entities: Entities;
  readonly catalog: Pick<Catalog, 'size' | 'createdMs'>;
  readonly upperBounds: UpperBounds;
  readonly scorer: TopKScorer;
}

interface ScanVisitor {
  visit(entity: number, score: number, createdMs: number, ordinal: number): void;
  /** Of items with signals. */
  isSkipped?(entity: number, createdMs: number, ordinal: number): boolean;
  skipsBlock?(block: number): boolean;
  afterBlock?(block: number): void;
}

export abstract class ItemScan<Parts extends ScanParts = ScanParts> extends Sliced {
  protected readonly parts: Parts;
  private block = 0;

  constructor(parts: Parts, selection: Selection | undefined) {
    super(parts, selection);
    this.parts = parts;
    parts.upperBounds.catchUp();
  }

  /**
   * Visits every item of the selection with its score; those without signals with their common score, if it is known. False if
   * `over`: the next call continues.
   */
  protected scan(over: () => boolean, visitor: ScanVisitor): boolean {
    const { upperBounds } = this.parts;
    while (this.block < upperBounds.blocks) {
      const block = this.block++;
      if (visitor.skipsBlock?.(block) !== true) this.scanBlock(block, visitor);
      if (this.block % BLOCKS_AT_ONCE === 0 && over()) return this.block >= upperBounds.blocks;
    }
    return true;
  }

  /**
   * Visits the items of the selection that may score no less than the threshold, which `visit` returns. False if `over`: the next
   * call continues.
   */
  protected scanDrawn(
    over: () => boolean,
    drawn: Drawn,
    visit: (entity: number, score: number, createdMs: number) => number,
  ): boolean {
    const { entities, catalog, scorer } = this.parts;
    let threshold = Number.NEGATIVE_INFINITY;
    for (let first = this.block << FAN_OUT_BITS; first < entities.size; first = this.block << FAN_OUT_BITS) {
      const page = entities.page(first);
      const end = Math.min(ENTITIES_AT_ONCE, entities.size - first);
      for (let at = drawn.next(page, 0, end, threshold); at < end; at = drawn.next(page, at + 1, end, threshold)) {
        const createdMs = catalog.createdMs(first + at);
        if (createdMs < 0 || this.selection?.has(first + at) === false) continue;
        threshold = visit(page[at]!, scorer.score(page[at]!, createdMs), createdMs);
      }
      this.block += ENTITIES_AT_ONCE >> FAN_OUT_BITS;
      if (over()) return this.block << FAN_OUT_BITS >= entities.size;
    }
    return true;
  }

  private scanBlock(block: number, visitor: ScanVisitor): void {
    const { upperBounds, entities, catalog, scorer } = this.parts;
    const { selection } = this;
    const { quiet } = scorer;
    const live = upperBounds.live(block);
    const active = quiet === undefined ? live : upperBounds.active(block);
    for (let bits = live; bits !== 0; bits &= bits - 1) {
      const ordinal = (block << FAN_OUT_BITS) + lowestBit(bits);
      if (selection !== undefined && !selection.has(ordinal)) continue;
      const entity = entities.entity(ordinal);
      const createdMs = catalog.createdMs(ordinal);
      if ((active & bits & -bits) === 0) visitor.visit(entity, quiet!, createdMs, ordinal);
      else if (visitor.isSkipped?.(entity, createdMs, ordinal) !== true) {
        visitor.visit(entity, scorer.score(entity, createdMs), createdMs, ordinal);
      }
    }
    visitor.afterBlock?.(block);
  }

  protected override restart(): void {
    this.rewind();
    this.parts.upperBounds.catchUp();
  }

  protected rewind(): void {
    this.block = 0;
  }

  /** The item as it ranks in this turn; undefined if it does not. */
  protected rankedNow(entity: number, selection: Selection | undefined): RankedNow | undefined {
    const { entities, catalog, scorer } = this.parts;
    const ordinal = entities.find(entity);
    const createdMs = ordinal < 0 ? -1 : catalog.createdMs(ordinal);
    if (createdMs < 0 || selection?.has(ordinal) === false) return undefined;
    const score = scorer.score(entity, createdMs);
    return score === Number.NEGATIVE_INFINITY ? undefined : { ordinal, score, createdMs };
  }
}

interface RankedNow {
  readonly ordinal: number;
  readonly score: number;
  readonly createdMs: number;
}

/** All items that are ranked, with their scores. */
export class AllRanked extends ItemScan {
  /** By ordinal; NaN: it is not ranked. */
  private scores = new Float64Array(1_024).fill(Number.NaN);
  private whole: Matches | undefined;

  /** The same until something changes: a read asks for it in each of its slices. */
  matches(): Matches {
    this.whole ??= this.collected();
    return this.whole;
  }

  private collected(): Matches {
    const ordinals = new Int32Array(this.scores.length);
    const scores = new Float64Array(this.scores.length);
    let count = 0;
    for (let ordinal = 0; ordinal < this.scores.length; ordinal++) {
      const score = this.scores[ordinal]!;
      if (Number.isNaN(score)) continue;
      ordinals[count] = ordinal;
      scores[count++] = score;
    }
    return { ordinals: ordinals.subarray(0, count), scores: scores.subarray(0, count) };
  }

  protected advance(over: () => boolean): boolean {
    return this.scan(over, {
      visit: (_entity, score, _createdMs, ordinal) => {
        if (score !== Number.NEGATIVE_INFINITY) this.set(ordinal, score);
      },
    });
  }

  protected refresh(entity: number, selection: Selection | undefined): void {
    const ranked = this.rankedNow(entity, selection);
    this.set(this.parts.entities.find(entity), ranked?.score ?? Number.NaN);
  }

  protected isExact(): boolean {
    return true;
  }

  protected override restart(): void {
    super.restart();
    this.scores.fill(Number.NaN);
    this.whole = undefined;
  }

  private set(ordinal: number, score: number): void {
    if (ordinal < 0) return;
    this.whole = undefined;
    const { length } = this.scores;
    if (ordinal >= length) this.scores = grown(this.scores, ordinal + 1).fill(Number.NaN, length);
    this.scores[ordinal] = score;
  }
}

/** How many items are ranked. */
export class RankedCount extends ItemScan {
  count = 0;
  /** By block, one bit for each item that is counted. */
  private counted = new Uint16Array(64);

  protected advance(over: () => boolean): boolean {
    return this.scan(over, {
      visit: (_entity, score, _createdMs, ordinal) => {
        if (score !== Number.NEGATIVE_INFINITY) this.add(ordinal);
      },
    });
  }

  protected refresh(entity: number, selection: Selection | undefined): void {
    this.remove(this.parts.entities.find(entity));
    const ranked = this.rankedNow(entity, selection);
    if (ranked !== undefined) this.add(ranked.ordinal);
  }

  protected isExact(): boolean {
    return true;
  }

  protected override restart(): void {
    super.restart();
    this.count = 0;
    this.counted.fill(0);
  }

  private add(ordinal: number): void {
    const block = ordinal >> FAN_OUT_BITS;
    if (block >= this.counted.length) this.counted = grown(this.counted, block + 1);
    this.counted[block]! |= 1 << (ordinal & (FAN_OUT - 1));
    this.count++;
  }

  private remove(ordinal: number): void {
    const block = ordinal >> FAN_OUT_BITS;
    const bit = 1 << (ordinal & (FAN_OUT - 1));
    if (ordinal < 0 || ((this.counted[block] ?? 0) & bit) === 0) return;
    this.counted[block]! &= ~bit;
    this.count--;
  }
}
