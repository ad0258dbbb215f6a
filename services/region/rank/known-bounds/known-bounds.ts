/**
 * Known bounds: what the searches of one profile found out about the nodes of the upper bounds. The score of an item that is not
 * written to changes only with the read time, and under many profiles only from one minute or hour to the next. So the best
 * score of a block whose items were scored is the tightest bound there is, until one of them is written to or that span is over;
 * and a node is known as well as its children are.
 *
 * It makes searches fast under profiles whose bounds are far above their scores (quotients, differences): the first one opens
 * what it has to, later ones open what was written to since and what is on their page.
 *
 * Promise: a known bound is never below the score of an item under the node. No answer depends on how far above it is.
 *
 * Memory: 1.1 bytes an item for each of the {@link RANKINGS} rankings that were read last; nothing is added to an event.
 */
import {
  FAN_OUT,
  FAN_OUT_BITS,
  indexIn,
  type NodePage,
  type UpperBounds,
} from '../../state/upper-bounds/upper-bounds.ts';

/** A ranking whose scores change, without a write, only where `atMs` passes a multiple of `spanMs`; Infinity: never. */
export interface Steady {
  /** No other ranking has it. */
  readonly name: string;
  readonly spanMs: number;
}

/** Rankings that have known bounds. */
const RANKINGS = 8;

export class KnownBoundsByRanking {
  private readonly upperBounds: UpperBounds;
  /** The one that was read last is the last. */
  private readonly byName = new Map<string, KnownBounds>();

  constructor(upperBounds: UpperBounds) {
    this.upperBounds = upperBounds;
  }

  /** For one slice of a search, in which nothing is written; undefined: those of a later read time are kept. */
  of({ name, spanMs }: Steady, atMs: number): KnownBounds | undefined {
    const known = this.byName.get(name) ?? new KnownBounds(this.upperBounds);
    this.byName.delete(name);
    this.byName.set(name, known);
    if (this.byName.size > RANKINGS) this.byName.delete(this.byName.keys().next().value!);
    return known.begin(spanMs === Number.POSITIVE_INFINITY ? 0 : Math.floor(atMs / spanMs)) ? known : undefined;
  }
}

interface Level {
  bounds: Float64Array;
  /** When the bound became known, in ticks of the upper bounds; 0: never. */
  ticks: Float64Array;
}

export class KnownBounds {
  private readonly upperBounds: UpperBounds;
  private readonly levels: Level[] = [];
  private span = Number.NEGATIVE_INFINITY;
  /** What became known before is of an earlier span. */
  private firstTick = 0;
  private tick = 0;

  constructor(upperBounds: UpperBounds) {
    this.upperBounds = upperBounds;
  }

  /** False if what is known is of a later span. */
  begin(span: number): boolean {
    if (span < this.span) return false;
    this.tick = this.upperBounds.nextTick();
    if (span > this.span) this.firstTick = this.tick;
    this.span = span;
    for (let level = 0; level <= this.upperBounds.height; level++) {
      this.levels[level] = reserved(this.levels[level], this.upperBounds.capacity(level));
    }
    return true;
  }

  /** NaN: not known. */
  of(page: NodePage, level: number, node: number): number {
    const { bounds, ticks } = this.levels[level]!;
    const tick = ticks[node]!;
    return tick >= this.firstTick && tick > page.writtenTick[indexIn(node)]! ? bounds[node]! : Number.NaN;
  }

  set(level: number, node: number, bound: number): void {
    const { bounds, ticks } = this.levels[level]!;
    bounds[node] = bound;
    ticks[node] = this.tick;
  }

  /** The best score of a block, of all its items; what is known of the nodes above follows. */
  setBlock(block: number, best: number): void {
    this.set(0, block, best);
    let node = block >> FAN_OUT_BITS;
    for (let level = 1; level < this.levels.length; level++) {
      const bound = this.boundOfChildren(level, node);
      if (Number.isNaN(bound) || bound === this.of(this.upperBounds.page(level, node), level, node)) return;
      this.set(level, node, bound);
      node >>= FAN_OUT_BITS;
    }
  }

  private boundOfChildren(level: number, node: number): number {
    const first = node << FAN_OUT_BITS;
    const page = this.upperBounds.page(level - 1, first);
    let most = Number.NEGATIVE_INFINITY;
    for (let child = first; child < first + FAN_OUT; child++) {
      if (page.newestMs[indexIn(child)]! < 0) continue;
      const bound = this.of(page, level - 1, child);
      if (Number.isNaN(bound)) return bound;
      if (bound > most) most = bound;
    }
    return most;
  }
}

function reserved(level: Level = { bounds: new Float64Array(0), ticks: new Float64Array(0) }, capacity: number): Level {
  if (level.bounds.length < capacity) {
    const larger = (present: Float64Array): Float64Array => {
      const numbers = new Float64Array(capacity);
      numbers.set(present);
      return numbers;
    };
    level.bounds = larger(level.bounds);
    level.ticks = larger(level.ticks);
  }
  return level;
}
