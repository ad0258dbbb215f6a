/**
 * Upper bounds: for every block of 16 consecutive ordinals, every 16 such blocks and so on up to one root, the maxima over its
 * entities: per signal the sums over windows and the decayed score; over live items the latest creation time and the lowest
 * entity. A search for the top items that opens the node with the highest bound first scores few more items than it returns
 * (`rank/top-k.ts`).
 *
 * Promise: after `catchUp`, and until the next event, a node's bound for a read time is never below the value of any entity under
 * it at that time. It may be above: an event that leaves a window lowers nothing until `tighten` recomputes its block. No answer
 * depends on how far above it is.
 *
 * Sums that fall with time are kept a few buckets wider than the windows (`dense-rings.ts`), so that they are valid for every
 * read time from a little before the newest event or tightening on; for an earlier time the total is used instead.
 *
 * In addition there are the minima of each signal over active entities, for profiles that favour rarely viewed items; and for
 * every single entity a magnitude, one byte a signal: between which powers of two its total is. With it most items of a block are
 * skipped without reading their pairs.
 *
 * Cost: a changed pair compares four numbers in its block, and updates parents as long as it is the maximum: once for all its
 * events since the last search, or since a few thousand pairs changed. Memory: 2 bytes an entity, and 4.2 for each signal.
 */
import { byWindow, type Window, windowSeconds } from '../../schema/schema.ts';
import type { Entities } from '../entities/entities.ts';
import {
  ALL,
  columnsIn,
  DAY,
  DECAY_KEY,
  FAN_OUT,
  FAN_OUT_BITS,
  fillLevel,
  HOURS,
  indexIn,
  Level,
  LOWEST,
  MINUTES,
  type NodePage,
  PAGE_NODES,
  recomputeItems,
  recomputeParents,
  recomputeSums,
} from './level.ts';
import { Magnitudes } from './magnitudes.ts';

export { FAN_OUT, FAN_OUT_BITS, indexIn, type NodePage };

/** The sums of one pair, thousandths; `decayKey` is the order of `decay.ts`. */
export interface PairBound {
  minutes: number;
  day: number;
  hours: number;
  all: number;
  decayKey: number;
}

/** The narrowest sum that is wide enough for the window. */
const column: Readonly<Record<Window, number>> = byWindow((window) => {
  if (window === 'all') return ALL;
  const seconds = windowSeconds[window];
  if (seconds <= 3_600) return MINUTES;
  return seconds <= 86_400 ? DAY : HOURS;
});

/** How many buckets before the newest one a wide sum is still valid. */
export const MINUTE_SLACK = 6;
export const HOUR_SLACK = 2;
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const MINUTES_PER_HOUR = 60;
const WEIGHT_SCALE = 1_000;

const FIRST_BLOCKS = 64;

export interface UpperBoundsOptions {
  readonly entities: Entities;
  readonly signals: number;
  /** The creation time of the live item with this ordinal; −1 if none is live. */
  readonly createdMs: (ordinal: number) => number;
  /** Raises the upper bounds of changed pairs that were not raised yet. */
  readonly catchUp: () => void;
  /** Runs with every item that is put or removed. */
  readonly onItem: (entity: number) => void;
  /** Fills in the sums of the pair for every read time from `fromMs` on; false if there is no such pair. */
  readonly pair: (signal: number, entity: number, fromMs: number, upperBound: PairBound) => boolean;
  /** A decayed score in weights, from its key. */
  readonly decayed: (signal: number, key: number, atMs: number) => number;
}

export class UpperBounds {
  private readonly options: UpperBoundsOptions;
  /** From blocks up; the last has one node, the root. */
  private readonly levels: Level[] = [];
  private capacityBlocks = 0;
  /** By block: one bit an ordinal that is a live item, and one that ever had a signal. */
  private liveBits = new Uint16Array(0);
  private activeBits = new Uint16Array(0);
  readonly magnitudes: Magnitudes;
  /** By block: the minute it was tightened last. */
  private tightenedMinute = new Int32Array(0);
  /** Wide sums are valid for read times from these buckets on. */
  private fromMinute = Number.NEGATIVE_INFINITY;
  private fromHour = Number.NEGATIVE_INFINITY;
  private tick = 0;
  private readonly scratch: PairBound = { minutes: 0, day: 0, hours: 0, all: 0, decayKey: 0 };

  constructor(options: UpperBoundsOptions) {
    this.options = options;
    this.magnitudes = new Magnitudes(options.signals);
    this.reserve(0);
  }

  /** Must be called before reads: events may be ahead of the upper bounds. */
  catchUp(): void {
    this.options.catchUp();
  }

  /**
   * Whether there is nothing to {@link raise}, apart from decay, for a pair with the total `all`, thousandths: none of its sums
   * exceeds that, and no sum of its block is lower.
   */
  covers(signal: number, ordinal: number, newestMinute: number, all: number): boolean {
    const block = ordinal >> FAN_OUT_BITS;
    if (block >= this.capacityBlocks) return false;
    if ((this.activeBits[block]! & (1 << (ordinal & (FAN_OUT - 1)))) === 0) return false;
    const numbers = this.levels[0]!.page(block).sums[signal]!;
    const at = columnsIn(block);
    if (all > numbers[at + MINUTES]! || all > numbers[at + DAY]!) return false;
    if (all > numbers[at + HOURS]! || all > numbers[at + ALL]!) return false;
    this.magnitudes.set(ordinal, signal, all);
    this.written(block);
    this.holdFrom(newestMinute);
    return true;
  }

  /** A pair changed; `newestMinute` is that of its latest event, since 1970. */
  raise(signal: number, ordinal: number, newestMinute: number, upperBound: PairBound): void {
    const block = ordinal >> FAN_OUT_BITS;
    if (block >= this.capacityBlocks) this.reserve(block);
    const bit = 1 << (ordinal & (FAN_OUT - 1));
    if ((this.activeBits[block]! & bit) === 0) {
      this.activeBits[block]! |= bit;
      if ((this.liveBits[block]! & bit) !== 0) this.raiseNewestActive(block, this.options.createdMs(ordinal));
      for (let other = 0; other < this.options.signals; other++) {
        this.lower(other, ordinal, other === signal ? upperBound.all : 0);
      }
    }
    this.magnitudes.set(ordinal, signal, upperBound.all);
    this.written(block);
    this.holdFrom(newestMinute);
    const { minutes, day, hours, all, decayKey } = upperBound;
    let node = block;
    const { levels } = this;
    for (let level = 0; level < levels.length; level++) {
      const numbers = levels[level]!.page(node).sums[signal]!;
      const at = columnsIn(node);
      let higher = false;
      if (minutes > numbers[at + MINUTES]!) {
        numbers[at + MINUTES] = minutes;
        higher = true;
      }
      if (day > numbers[at + DAY]!) {
        numbers[at + DAY] = day;
        higher = true;
      }
      if (hours > numbers[at + HOURS]!) {
        numbers[at + HOURS] = hours;
        higher = true;
      }
      if (all > numbers[at + ALL]!) {
        numbers[at + ALL] = all;
        higher = true;
      }
      if (decayKey > numbers[at + DECAY_KEY]!) {
        numbers[at + DECAY_KEY] = decayKey;
        higher = true;
      }
      if (!higher) return;
      node >>= FAN_OUT_BITS;
    }
  }

  /** An event of a pair was retracted: `all` is left, thousandths. Maxima may stay, because they are still upper bounds. */
  took(signal: number, ordinal: number, all: number): void {
    // Nothing of the entity was raised yet, so the pair is queued, and will be raised with its values of then.
    if (ordinal >> FAN_OUT_BITS >= this.capacityBlocks) return;
    this.magnitudes.set(ordinal, signal, all);
    this.written(ordinal >> FAN_OUT_BITS);
    this.lower(signal, ordinal, all);
  }

  /** Lowers the minimum of the signal over active entities to `all`. */
  private lower(signal: number, ordinal: number, all: number): void {
    let node = ordinal >> FAN_OUT_BITS;
    for (const level of this.levels) {
      const numbers = level.page(node).sums[signal]!;
      const at = columnsIn(node) + LOWEST;
      if (all >= numbers[at]!) return;
      numbers[at] = all;
      node >>= FAN_OUT_BITS;
    }
  }

  /** Adds every live item, after a catalog was loaded. */
  fill(): void {
    const { entities, createdMs } = this.options;
    for (let ordinal = 0; ordinal < entities.size; ordinal++) {
      if (createdMs(ordinal) >= 0) this.putOrdinal(ordinal, entities.entity(ordinal));
    }
  }

  /** The item is live now. */
  put(entity: number): void {
    this.options.onItem(entity);
    this.putOrdinal(this.options.entities.ordinal(entity), entity);
  }

  private putOrdinal(ordinal: number, entity: number): void {
    const block = ordinal >> FAN_OUT_BITS;
    if (block >= this.capacityBlocks) this.reserve(block);
    const bit = 1 << (ordinal & (FAN_OUT - 1));
    this.written(block);
    this.liveBits[block]! |= bit;
    const createdMs = this.options.createdMs(ordinal);
    if ((this.activeBits[block]! & bit) !== 0) this.raiseNewestActive(block, createdMs);
    let node = block;
    for (const level of this.levels) {
      const { newestMs, lowestEntity } = level.page(node);
      const at = indexIn(node);
      let further = false;
      if (createdMs > newestMs[at]!) {
        newestMs[at] = createdMs;
        further = true;
      }
      if (entity < lowestEntity[at]!) {
        lowestEntity[at] = entity;
        further = true;
      }
      if (!further) return;
      node >>= FAN_OUT_BITS;
    }
  }

  private raiseNewestActive(block: number, createdMs: number): void {
    let node = block;
    for (const level of this.levels) {
      const { newestActiveMs } = level.page(node);
      const at = indexIn(node);
      if (createdMs <= newestActiveMs[at]!) return;
      newestActiveMs[at] = createdMs;
      node >>= FAN_OUT_BITS;
    }
  }

  /** Removes the item. Idempotent. */
  remove(entity: number): void {
    this.options.onItem(entity);
    const ordinal = this.options.entities.find(entity);
    const block = ordinal >> FAN_OUT_BITS;
    if (ordinal < 0 || block >= this.capacityBlocks) return;
    this.liveBits[block]! &= ~(1 << (ordinal & (FAN_OUT - 1)));
    let newestMs = -1;
    let newestActiveMs = -1;
    let lowest = Number.POSITIVE_INFINITY;
    for (let bits = this.liveBits[block]!; bits !== 0; bits &= bits - 1) {
      const other = (block << FAN_OUT_BITS) + lowestBit(bits);
      const createdMs = this.options.createdMs(other);
      newestMs = Math.max(newestMs, createdMs);
      if ((this.activeBits[block]! & bits & -bits) !== 0) newestActiveMs = Math.max(newestActiveMs, createdMs);
      lowest = Math.min(lowest, this.options.entities.entity(other));
    }
    const page = this.levels[0]!.page(block);
    page.newestMs[indexIn(block)] = newestMs;
    page.newestActiveMs[indexIn(block)] = newestActiveMs;
    page.lowestEntity[indexIn(block)] = lowest;
    recomputeParents(this.levels, block, recomputeItems);
  }

  /** Scores of the block's items may be higher now. */
  private written(block: number): void {
    let node = block;
    for (const level of this.levels) {
      const { writtenTick } = level.page(node);
      const at = indexIn(node);
      if (writtenTick[at] === this.tick) return;
      writtenTick[at] = this.tick;
      node >>= FAN_OUT_BITS;
    }
  }

  /** A new tick, later than all that was written: what is seen now holds while no `writtenTick` is as late. */
  nextTick(): number {
    return ++this.tick;
  }

  /** Nodes of the level are below this. */
  capacity(level: number): number {
    return this.levels[level]!.capacity;
  }

  /** Levels above the blocks; the root is node 0 of level `height`. */
  get height(): number {
    return this.levels.length - 1;
  }

  /** Bits of the block's ordinals that are live items, lowest first. */
  live(block: number): number {
    return this.liveBits[block]!;
  }

  /** Bits of the block's ordinals that ever had a signal. */
  active(block: number): number {
    return this.activeBits[block]!;
  }

  /** Blocks are below this. */
  get blocks(): number {
    return Math.min(this.capacityBlocks, (this.options.entities.size + FAN_OUT - 1) >> FAN_OUT_BITS);
  }

  /** Index of the node's numbers. */
  page(level: number, node: number): NodePage {
    return this.levels[level]!.page(node);
  }

  /** The column that bounds the window at a read time: its own, or that of the total for an earlier time. */
  columnOf(window: Window, atMs: number): number {
    if (window === 'all') return ALL;
    const number = column[window];
    const holds =
      number === MINUTES
        ? Math.floor(atMs / MINUTE_MS) >= this.fromMinute
        : Math.floor(atMs / HOUR_MS) >= this.fromHour;
    return holds ? number : ALL;
  }

  /** In weights; `columnNumber` from {@link columnOf}. */
  sum(page: NodePage, node: number, signal: number, columnNumber: number): number {
    return page.sums[signal]![columnsIn(node) + columnNumber]! / WEIGHT_SCALE;
  }

  /** Minimum of the total over the entities under the node that ever had a signal; weights, Infinity without any. */
  lowest(page: NodePage, node: number, signal: number): number {
    return page.sums[signal]![columnsIn(node) + LOWEST]! / WEIGHT_SCALE;
  }

  /** In weights. */
  decayed(page: NodePage, node: number, signal: number, atMs: number): number {
    const key = page.sums[signal]![columnsIn(node) + DECAY_KEY]!;
    return key === Number.NEGATIVE_INFINITY ? 0 : this.options.decayed(signal, key, atMs);
  }

  /**
   * Lowers the block's sums to their values for read times from a little before `atMs` on, and those of its parents; once a
   * minute.
   */
  tighten(block: number, atMs: number): void {
    const minute = Math.floor(atMs / MINUTE_MS);
    if (minute <= this.tightenedMinute[block]!) return;
    this.tightenedMinute[block] = minute;
    this.holdFrom(minute);
    for (let signal = 0; signal < this.options.signals; signal++) this.recount(signal, block, atMs);
  }

  private recount(signal: number, block: number, atMs: number): void {
    const { scratch } = this;
    const most: PairBound = { minutes: 0, day: 0, hours: 0, all: 0, decayKey: Number.NEGATIVE_INFINITY };
    let lowest = Number.POSITIVE_INFINITY;
    for (let bits = this.activeBits[block]!; bits !== 0; bits &= bits - 1) {
      const entity = this.options.entities.entity((block << FAN_OUT_BITS) + lowestBit(bits));
      if (!this.options.pair(signal, entity, atMs, scratch)) {
        lowest = 0;
        continue;
      }
      lowest = Math.min(lowest, scratch.all);
      most.minutes = Math.max(most.minutes, scratch.minutes);
      most.day = Math.max(most.day, scratch.day);
      most.hours = Math.max(most.hours, scratch.hours);
      most.all = Math.max(most.all, scratch.all);
      most.decayKey = Math.max(most.decayKey, scratch.decayKey);
    }
    const numbers = this.levels[0]!.page(block).sums[signal]!;
    const at = columnsIn(block);
    const values = [most.minutes, most.day, most.hours, most.all, most.decayKey, lowest];
    if (values.every((value, index) => numbers[at + index] === value)) return;
    numbers.set(values, at);
    recomputeParents(this.levels, block, (lower, first, upper, node) =>
      recomputeSums(lower.sums[signal]!, columnsIn(first), upper.sums[signal]!, columnsIn(node)),
    );
  }

  private holdFrom(minute: number): void {
    if (minute - MINUTE_SLACK <= this.fromMinute) return;
    this.fromMinute = minute - MINUTE_SLACK;
    const hour = Math.floor(minute / MINUTES_PER_HOUR) - HOUR_SLACK;
    if (hour > this.fromHour) this.fromHour = hour;
  }

  /**
   * Grows to hold a block: twice as many up to a page of them, then a page more. Every level but the root is a whole number of
   * nodes' children long.
   */
  private reserve(block: number): void {
    let blocks = Math.max(FIRST_BLOCKS, this.capacityBlocks);
    while (blocks <= block) blocks = blocks < PAGE_NODES ? blocks * 2 : blocks + PAGE_NODES;
    if (blocks === this.capacityBlocks) return;
    this.capacityBlocks = blocks;
    this.liveBits = grown(this.liveBits, new Uint16Array(blocks));
    this.activeBits = grown(this.activeBits, new Uint16Array(blocks));
    this.tightenedMinute = grown(this.tightenedMinute, new Int32Array(blocks));
    this.magnitudes.reserve(blocks << FAN_OUT_BITS);
    for (let level = 0, nodes = blocks; ; level++, nodes = (nodes + FAN_OUT - 1) >> FAN_OUT_BITS) {
      const isNew = level === this.levels.length;
      if (isNew) this.levels.push(new Level(this.options.signals));
      this.levels[level]!.reserve(nodes === 1 ? 1 : (nodes + FAN_OUT - 1) & ~(FAN_OUT - 1));
      if (isNew && level > 0) fillLevel(this.levels, level);
      if (nodes === 1) break;
    }
  }
}

function grown<Numbers extends Uint16Array | Int32Array>(present: Numbers, larger: Numbers): Numbers {
  larger.set(present);
  return larger;
}

/** The index of the lowest bit of a number other than 0. */
export function lowestBit(bits: number): number {
  return 31 - Math.clz32(bits & -bits);
}
