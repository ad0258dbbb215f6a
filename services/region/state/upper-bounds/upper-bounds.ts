/**
 * Upper bounds: for every block of 16 consecutive ordinals, every 16 such blocks and so on up to one root, at least what each
 * entity in it has: per signal its sums over windows and its decayed score, over its live items the latest creation and
 * the lowest entity. A search for the best that takes the node with the highest bound first looks at little more than what
 * it answers (`rank/top-k.ts`).
 *
 * Promise: after `catchUp`, and until the next event, never below the truth. What a node says for a moment is at least what any
 * entity under it has at that moment. It may be above it: an event that falls out of a window lowers nothing until `tighten`
 * looks at its block again. Nothing that is answered depends on how far above it they are.
 *
 * Sums that fall as time passes are kept a few buckets wider than the windows (`dense-rings.ts`), so that they hold for every
 * moment from a little before the newest event or tightening on; for an earlier moment the sum of everything stands in.
 *
 * Beside them the least that any active entity has of each signal, for profiles that favour what few have seen; and of every
 * single entity a magnitude, one byte a signal: between which powers of two its sum of everything lies. It passes by most items of
 * a block without a look at their pairs.
 *
 * Cost: a pair that changed compares four numbers in its block, and goes up as long as it is the highest: once for all its events
 * since the last search, or since a few thousand pairs changed. Memory: 2 bytes an entity, and 4.2 for each signal.
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
  HOURS,
  indexIn,
  Level,
  LOWEST,
  MINUTES,
  type NodePage,
  PAGE_NODES,
  recomputeItems,
  recomputeSums,
} from './level.ts';
import { Magnitudes } from './magnitudes.ts';

export { FAN_OUT, FAN_OUT_BITS, indexIn, type NodePage };

/** What one pair has, thousandths; `decayKey` as `decay.ts` orders pairs. */
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

/** How many buckets earlier than the newest one a wide sum still holds. */
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
  /** The creation time of the live item with this ordinal; −1: none is live. */
  readonly createdMs: (ordinal: number) => number;
  /** Raises the upper bounds of pairs that changed and were not raised yet. */
  readonly catchUp: () => void;
  /** Fills in what the pair has for every moment from `fromMs` on; false: there is no such pair. */
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
  /** Wide sums hold for moments from these buckets on. */
  private fromMinute = Number.NEGATIVE_INFINITY;
  private fromHour = Number.NEGATIVE_INFINITY;
  private readonly scratch: PairBound = { minutes: 0, day: 0, hours: 0, all: 0, decayKey: 0 };

  constructor(options: UpperBoundsOptions) {
    this.options = options;
    this.magnitudes = new Magnitudes(options.signals);
    this.reserve(0);
  }

  /** Before anything is read: events may be ahead of the upper bounds. */
  catchUp(): void {
    this.options.catchUp();
  }

  /**
   * Whether nothing is left to {@link raise} for a pair that has `all` of everything, thousandths, decay aside: its sums are no
   * more than that, and no sum of its block is less.
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

  /** Some of a pair was taken back: `all` is left, thousandths. What is highest may stay, it is at least the truth. */
  took(signal: number, ordinal: number, all: number): void {
    // Nothing of the entity was raised yet, so the pair waits for it, and will be raised as it is then.
    if (ordinal >> FAN_OUT_BITS >= this.capacityBlocks) return;
    this.magnitudes.set(ordinal, signal, all);
    this.lower(signal, ordinal, all);
  }

  /** An active entity may have as little as `all` of the signal. */
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

  /** Every item that is live now: after a catalog was loaded. */
  fill(): void {
    const { entities, createdMs } = this.options;
    for (let ordinal = 0; ordinal < entities.size; ordinal++) {
      if (createdMs(ordinal) >= 0) this.putOrdinal(ordinal, entities.entity(ordinal));
    }
  }

  /** The item is live now. */
  put(entity: number): void {
    this.putOrdinal(this.options.entities.ordinal(entity), entity);
  }

  private putOrdinal(ordinal: number, entity: number): void {
    const block = ordinal >> FAN_OUT_BITS;
    if (block >= this.capacityBlocks) this.reserve(block);
    const bit = 1 << (ordinal & (FAN_OUT - 1));
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

  /** The item is gone. Idempotent. */
  remove(entity: number): void {
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
    this.settle(block, recomputeItems);
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

  /** Where the node's numbers are. */
  page(level: number, node: number): NodePage {
    return this.levels[level]!.page(node);
  }

  /** Which column says what the window sums at most at a moment: its own, or everything for a moment before it holds. */
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

  /** At most the sum of everything that any entity under the node has which ever had a signal; weights, Infinity without any. */
  lowest(page: NodePage, node: number, signal: number): number {
    return page.sums[signal]![columnsIn(node) + LOWEST]! / WEIGHT_SCALE;
  }

  /** In weights. */
  decayed(page: NodePage, node: number, signal: number, atMs: number): number {
    const key = page.sums[signal]![columnsIn(node) + DECAY_KEY]!;
    return key === Number.NEGATIVE_INFINITY ? 0 : this.options.decayed(signal, key, atMs);
  }

  /**
   * Lowers the block's sums to what they are for moments from a little before `atMs` on, and those above it; once a minute.
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
    this.settle(block, (lower, first, upper, node) =>
      recomputeSums(lower.sums[signal]!, columnsIn(first), upper.sums[signal]!, columnsIn(node)),
    );
  }

  /** Goes from a block up, as long as a node changes. */
  private settle(
    block: number,
    settle: (lower: NodePage, first: number, upper: NodePage, node: number) => boolean,
  ): void {
    let node = block >> FAN_OUT_BITS;
    for (let level = 1; level < this.levels.length; level++) {
      const first = node << FAN_OUT_BITS;
      if (!settle(this.levels[level - 1]!.page(first), first, this.levels[level]!.page(node), node)) return;
      node >>= FAN_OUT_BITS;
    }
  }

  private holdFrom(minute: number): void {
    if (minute - MINUTE_SLACK <= this.fromMinute) return;
    this.fromMinute = minute - MINUTE_SLACK;
    const hour = Math.floor(minute / MINUTES_PER_HOUR) - HOUR_SLACK;
    if (hour > this.fromHour) this.fromHour = hour;
  }

  /**
   * Makes room for a block: twice as many up to a page of them, then a page more. Every level but the root is a whole number of
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
      if (isNew && level > 0) this.fillLevel(level);
      if (nodes === 1) break;
    }
  }

  /** A level that was not there: from the one below it. */
  private fillLevel(level: number): void {
    const { levels } = this;
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
}

function grown<Numbers extends Uint16Array | Int32Array>(present: Numbers, larger: Numbers): Numbers {
  larger.set(present);
  return larger;
}

/** The place of the lowest bit of a number that has one. */
export function lowestBit(bits: number): number {
  return 31 - Math.clz32(bits & -bits);
}
