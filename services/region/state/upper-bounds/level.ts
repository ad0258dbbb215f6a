/**
 * One level of the tree of upper bounds: its nodes' numbers, in pages that never move once they are full, so that the level grows
 * without a long copy.
 */

/** Entities a block, and children a node. */
export const FAN_OUT_BITS = 4;
export const FAN_OUT = 1 << FAN_OUT_BITS;

/** Nodes of a page; a multiple of the children of a node, which therefore lie in one page. */
export const PAGE_NODES = 4_096;
const PAGE_BITS = 12;
const PAGE_MASK = PAGE_NODES - 1;

/** Columns of a node's sums. */
export const MINUTES = 0;
export const DAY = 1;
export const HOURS = 2;
export const ALL = 3;
export const DECAY_KEY = 4;
/** Minimum of the total over the entities that ever had a signal of any kind. */
export const LOWEST = 5;
export const COLUMNS = 6;

/** Numbers by {@link indexIn}. */
export interface NodePage {
  /** By signal: six columns a node, beginning at {@link columnsIn}. */
  readonly sums: readonly Float64Array[];
  /** The latest creation time of a live item; −1: there is none. */
  readonly newestMs: Float64Array;
  /** The same over live items that ever had a signal. */
  readonly newestActiveMs: Float64Array;
  readonly lowestEntity: Float64Array;
  /** The tick of the latest write after which an item under the node may score more. */
  readonly writtenTick: Float64Array;
}

export class Level {
  private readonly signals: number;
  private readonly pages: NodePage[] = [];
  /** Nodes are below this. */
  capacity = 0;

  constructor(signals: number) {
    this.signals = signals;
  }

  page(node: number): NodePage {
    return this.pages[node >> PAGE_BITS]!;
  }

  /** The first page is reallocated until it is full; capacity never shrinks. */
  reserve(capacity: number): void {
    if (this.capacity < Math.min(capacity, PAGE_NODES)) {
      this.pages[0] = createPage(this.signals, Math.min(capacity, PAGE_NODES), this.pages[0]);
    }
    while (this.pages.length < capacity / PAGE_NODES) this.pages.push(createPage(this.signals, PAGE_NODES));
    this.capacity = capacity;
  }
}

export function indexIn(node: number): number {
  return node & PAGE_MASK;
}

export function columnsIn(node: number): number {
  return (node & PAGE_MASK) * COLUMNS;
}

/** Sets a node's item numbers to those of its children, `first` and the following; false if they did not change. */
export function recomputeItems(lower: NodePage, first: number, upper: NodePage, node: number): boolean {
  let newestMs = -1;
  let newestActiveMs = -1;
  let lowest = Number.POSITIVE_INFINITY;
  const start = indexIn(first);
  for (let child = start; child < start + FAN_OUT; child++) {
    newestMs = Math.max(newestMs, lower.newestMs[child]!);
    newestActiveMs = Math.max(newestActiveMs, lower.newestActiveMs[child]!);
    lowest = Math.min(lowest, lower.lowestEntity[child]!);
  }
  const at = indexIn(node);
  const { newestMs: newest, newestActiveMs: newestActive, lowestEntity } = upper;
  const same = newest[at] === newestMs && newestActive[at] === newestActiveMs && lowestEntity[at] === lowest;
  newest[at] = newestMs;
  newestActive[at] = newestActiveMs;
  lowestEntity[at] = lowest;
  return !same;
}

/** The same of a signal's sums, whose columns begin at `first` and `at`. */
export function recomputeSums(lower: Float64Array, first: number, upper: Float64Array, at: number): boolean {
  let changed = false;
  for (let index = 0; index < COLUMNS; index++) {
    let extreme = lower[first + index]!;
    for (let child = 1; child < FAN_OUT; child++) {
      const value = lower[first + child * COLUMNS + index]!;
      if (index === LOWEST ? value < extreme : value > extreme) extreme = value;
    }
    if (upper[at + index] === extreme) continue;
    upper[at + index] = extreme;
    changed = true;
  }
  return changed;
}

/** Updates the parents of a block, as long as `recompute` changes a node. */
export function recomputeParents(
  levels: readonly Level[],
  block: number,
  recompute: (lower: NodePage, first: number, upper: NodePage, node: number) => boolean,
): void {
  let node = block >> FAN_OUT_BITS;
  for (let level = 1; level < levels.length; level++) {
    const first = node << FAN_OUT_BITS;
    if (!recompute(levels[level - 1]!.page(first), first, levels[level]!.page(node), node)) return;
    node >>= FAN_OUT_BITS;
  }
}

/** Computes a new level from the one below it. */
export function fillLevel(levels: readonly Level[], level: number): void {
  for (let first = 0; first < levels[level - 1]!.capacity; first += FAN_OUT) {
    const node = first >> FAN_OUT_BITS;
    const lower = levels[level - 1]!.page(first);
    const upper = levels[level]!.page(node);
    recomputeItems(lower, first, upper, node);
    for (const [signal, numbers] of upper.sums.entries()) {
      recomputeSums(lower.sums[signal]!, columnsIn(first), numbers, columnsIn(node));
    }
  }
}

/** Columns of new nodes without bounds, after those of `present`. */
function createPage(signals: number, nodes: number, present?: NodePage): NodePage {
  const filled = (value: number, before?: Float64Array): Float64Array => {
    const numbers = new Float64Array(nodes).fill(value);
    if (before !== undefined) numbers.set(before);
    return numbers;
  };
  const sums = Array.from({ length: signals }, (_, signal) => {
    const numbers = new Float64Array(nodes * COLUMNS);
    for (let at = 0; at < numbers.length; at += COLUMNS) {
      numbers[at + DECAY_KEY] = Number.NEGATIVE_INFINITY;
      numbers[at + LOWEST] = Number.POSITIVE_INFINITY;
    }
    if (present !== undefined) numbers.set(present.sums[signal]!);
    return numbers;
  });
  return {
    sums,
    newestMs: filled(-1, present?.newestMs),
    newestActiveMs: filled(-1, present?.newestActiveMs),
    lowestEntity: filled(Number.POSITIVE_INFINITY, present?.lowestEntity),
    writtenTick: filled(0, present?.writtenTick),
  };
}
