/**
 * Ceilings: for every block of 16 consecutive ordinals, every 16 such blocks and so on up to one root, at least what each
 * entity in it has: per signal its sums over windows and its decayed score, over its live items the latest creation and
 * the lowest entity. A search for the best that takes the node with the highest bound first looks at little more than what
 * it answers (`rank/top-k.ts`).
 *
 * Promise: never below the truth. `limits` at a node and a moment are at least what any entity under it has at that moment.
 * They may be above it: an event that falls out of a window lowers nothing until `tighten` looks at its block again. Nothing
 * that is answered depends on how far above it they are.
 *
 * Sums that fall as time passes are kept a few buckets wider than the windows (`dense-rings.ts`), so that they hold for every
 * moment from a little before the newest event or tightening on; for an earlier moment the sum of everything stands in.
 *
 * Beside them the least that any active entity has of each signal, for profiles that favour what few have seen; and of every
 * single entity a sketch, one byte a signal: between which powers of two its sum of everything lies. It passes by most items of
 * a block without a look at their pairs.
 *
 * Cost: an event compares four numbers in its block, and goes up as long as it is the highest. Memory: 2 bytes an entity, and
 * 4.2 for each signal.
 */
import type { Window } from '../../../../shared/schema/schema.ts';
import type { Entities } from '../entities/entities.ts';
import { Sketches } from './sketches.ts';

/** Entities a block, and children a node. */
export const FAN_OUT_BITS = 4;
export const FAN_OUT = 1 << FAN_OUT_BITS;

/** What one pair has, thousandths; `decayKey` as `decay.ts` orders pairs. */
export interface PairCeiling {
  minutes: number;
  day: number;
  hours: number;
  all: number;
  decayKey: number;
}

const MINUTES = 0;
const DAY = 1;
const HOURS = 2;
const ALL = 3;
const DECAY_KEY = 4;
/** At most the sum of everything that any entity has which ever had a signal, of whatever kind. */
const LEAST = 5;
const COLUMNS = 6;
const column: Readonly<Record<Window, number>> = { '1h': MINUTES, '24h': DAY, '7d': HOURS, all: ALL };

/** How many buckets earlier than the newest one a wide sum still holds. */
export const MINUTE_SLACK = 6;
export const HOUR_SLACK = 2;
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const MINUTES_PER_HOUR = 60;
const WEIGHT_SCALE = 1_000;

const FIRST_BLOCKS = 64;

export interface CeilingsOptions {
  readonly entities: Entities;
  readonly signals: number;
  /** The creation time of the live item with this ordinal; −1: none is live. */
  readonly createdMs: (ordinal: number) => number;
  /** Fills in what the pair has for every moment from `fromMs` on; false: there is no such pair. */
  readonly pair: (signal: number, entity: number, fromMs: number, ceiling: PairCeiling) => boolean;
  /** A decayed score in weights, from its key. */
  readonly decayed: (signal: number, key: number, atMs: number) => number;
}

/** One level's numbers, by node. */
interface Level {
  /** By signal: six columns a node. */
  readonly sums: Float64Array[];
  newestMs: Float64Array;
  /** Of the live items that ever had a signal. */
  newestActiveMs: Float64Array;
  lowestEntity: Float64Array;
}

export class Ceilings {
  private readonly options: CeilingsOptions;
  /** From blocks up; the last has one node, the root. */
  private levels: Level[] = [];
  private capacityBlocks = 0;
  /** By block: one bit an ordinal that is a live item, and one that ever had a signal. */
  private liveBits = new Uint16Array(0);
  private activeBits = new Uint16Array(0);
  readonly sketches: Sketches;
  /** By block: the minute it was tightened last. */
  private tightenedMinute = new Int32Array(0);
  /** Wide sums hold for moments from these buckets on. */
  private fromMinute = Number.NEGATIVE_INFINITY;
  private fromHour = Number.NEGATIVE_INFINITY;
  private readonly scratch: PairCeiling = { minutes: 0, day: 0, hours: 0, all: 0, decayKey: 0 };

  constructor(options: CeilingsOptions) {
    this.options = options;
    this.sketches = new Sketches(options.signals);
    this.reserve(0);
  }

  /** A pair changed; `newestMinute` is that of its latest event, since 1970, `before` what it had of everything, thousandths. */
  raise(signal: number, ordinal: number, newestMinute: number, ceiling: PairCeiling, before: number): void {
    const block = ordinal >> FAN_OUT_BITS;
    if (block >= this.capacityBlocks) this.reserve(block);
    const bit = 1 << (ordinal & (FAN_OUT - 1));
    if ((this.activeBits[block]! & bit) === 0) {
      this.activeBits[block]! |= bit;
      if ((this.liveBits[block]! & bit) !== 0) this.raiseNewestActive(block, this.options.createdMs(ordinal));
      for (let other = 0; other < this.options.signals; other++) {
        this.lower(other, ordinal, other === signal ? ceiling.all : 0);
      }
    }
    this.sketches.change(ordinal, signal, before, ceiling.all);
    this.holdFrom(newestMinute);
    const { minutes, day, hours, all, decayKey } = ceiling;
    let node = block;
    const { levels } = this;
    for (let level = 0; level < levels.length; level++) {
      const numbers = levels[level]!.sums[signal]!;
      const at = node * COLUMNS;
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
    this.sketches.set(ordinal, signal, all);
    this.lower(signal, ordinal, all);
  }

  /** An active entity may have as little as `all` of the signal. */
  private lower(signal: number, ordinal: number, all: number): void {
    let node = ordinal >> FAN_OUT_BITS;
    for (const { sums } of this.levels) {
      const numbers = sums[signal]!;
      const at = node * COLUMNS + LEAST;
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
      let further = false;
      if (createdMs > level.newestMs[node]!) {
        level.newestMs[node] = createdMs;
        further = true;
      }
      if (entity < level.lowestEntity[node]!) {
        level.lowestEntity[node] = entity;
        further = true;
      }
      if (!further) return;
      node >>= FAN_OUT_BITS;
    }
  }

  private raiseNewestActive(block: number, createdMs: number): void {
    let node = block;
    for (const { newestActiveMs } of this.levels) {
      if (createdMs <= newestActiveMs[node]!) return;
      newestActiveMs[node] = createdMs;
      node >>= FAN_OUT_BITS;
    }
  }

  /** The item is gone. Idempotent. */
  remove(entity: number): void {
    const ordinal = this.options.entities.find(entity);
    const block = ordinal >> FAN_OUT_BITS;
    if (ordinal < 0 || block >= this.capacityBlocks) return;
    this.liveBits[block]! &= ~(1 << (ordinal & (FAN_OUT - 1)));
    const [level] = this.levels;
    level!.newestMs[block] = -1;
    level!.newestActiveMs[block] = -1;
    level!.lowestEntity[block] = Number.POSITIVE_INFINITY;
    for (let bits = this.liveBits[block]!; bits !== 0; bits &= bits - 1) {
      const other = (block << FAN_OUT_BITS) + lowestBit(bits);
      const createdMs = this.options.createdMs(other);
      level!.newestMs[block] = Math.max(level!.newestMs[block]!, createdMs);
      if ((this.activeBits[block]! & bits & -bits) !== 0) {
        level!.newestActiveMs[block] = Math.max(level!.newestActiveMs[block]!, createdMs);
      }
      level!.lowestEntity[block] = Math.min(level!.lowestEntity[block]!, this.options.entities.entity(other));
    }
    this.settle(block, (lower, upper, first, node) => {
      let newestMs = -1;
      let newestActiveMs = -1;
      let lowest = Number.POSITIVE_INFINITY;
      for (let child = first; child < first + FAN_OUT; child++) {
        newestMs = Math.max(newestMs, lower.newestMs[child]!);
        newestActiveMs = Math.max(newestActiveMs, lower.newestActiveMs[child]!);
        lowest = Math.min(lowest, lower.lowestEntity[child]!);
      }
      const same =
        upper.newestMs[node] === newestMs &&
        upper.newestActiveMs[node] === newestActiveMs &&
        upper.lowestEntity[node] === lowest;
      upper.newestMs[node] = newestMs;
      upper.newestActiveMs[node] = newestActiveMs;
      upper.lowestEntity[node] = lowest;
      return !same;
    });
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

  /** −1: no live item. */
  newestMs(level: number, node: number): number {
    return this.levels[level]!.newestMs[node]!;
  }

  /** −1: no live item that ever had a signal. */
  newestActiveMs(level: number, node: number): number {
    return this.levels[level]!.newestActiveMs[node]!;
  }

  lowestEntity(level: number, node: number): number {
    return this.levels[level]!.lowestEntity[node]!;
  }

  /** Which column says what the window sums at most at a moment: its own, or everything for a moment before it holds. */
  columnOf(window: Window, atMs: number): number {
    if (window === 'all') return ALL;
    const holds =
      window === '1h' ? Math.floor(atMs / MINUTE_MS) >= this.fromMinute : Math.floor(atMs / HOUR_MS) >= this.fromHour;
    return holds ? column[window] : ALL;
  }

  /** In weights; `columnNumber` from {@link columnOf}. */
  sum(level: number, node: number, signal: number, columnNumber: number): number {
    return this.levels[level]!.sums[signal]![node * COLUMNS + columnNumber]! / WEIGHT_SCALE;
  }

  /** At most the sum of everything that any entity under the node has which ever had a signal; weights, Infinity without any. */
  least(level: number, node: number, signal: number): number {
    return this.levels[level]!.sums[signal]![node * COLUMNS + LEAST]! / WEIGHT_SCALE;
  }

  /** In weights. */
  decayed(level: number, node: number, signal: number, atMs: number): number {
    const key = this.levels[level]!.sums[signal]![node * COLUMNS + DECAY_KEY]!;
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
    const [level] = this.levels;
    for (const [signal, numbers] of level!.sums.entries()) this.recount(signal, numbers, block, atMs);
  }

  private recount(signal: number, numbers: Float64Array, block: number, atMs: number): void {
    const { scratch } = this;
    const most: PairCeiling = { minutes: 0, day: 0, hours: 0, all: 0, decayKey: Number.NEGATIVE_INFINITY };
    let least = Number.POSITIVE_INFINITY;
    for (let bits = this.activeBits[block]!; bits !== 0; bits &= bits - 1) {
      const entity = this.options.entities.entity((block << FAN_OUT_BITS) + lowestBit(bits));
      if (!this.options.pair(signal, entity, atMs, scratch)) {
        least = 0;
        continue;
      }
      least = Math.min(least, scratch.all);
      most.minutes = Math.max(most.minutes, scratch.minutes);
      most.day = Math.max(most.day, scratch.day);
      most.hours = Math.max(most.hours, scratch.hours);
      most.all = Math.max(most.all, scratch.all);
      most.decayKey = Math.max(most.decayKey, scratch.decayKey);
    }
    const at = block * COLUMNS;
    const values = [most.minutes, most.day, most.hours, most.all, most.decayKey, least];
    if (values.every((value, index) => numbers[at + index] === value)) return;
    numbers.set(values, at);
    this.settle(block, (lowerLevel, upperLevel, first, node) => {
      const lower = lowerLevel.sums[signal]!;
      const upper = upperLevel.sums[signal]!;
      let changed = false;
      for (let index = 0; index < COLUMNS; index++) {
        let extreme = lower[first * COLUMNS + index]!;
        for (let child = first + 1; child < first + FAN_OUT; child++) {
          const value = lower[child * COLUMNS + index]!;
          if (index === LEAST ? value < extreme : value > extreme) extreme = value;
        }
        if (upper[node * COLUMNS + index] === extreme) continue;
        upper[node * COLUMNS + index] = extreme;
        changed = true;
      }
      return changed;
    });
  }

  /** Goes from a block up, as long as a node changes. */
  private settle(block: number, recount: (lower: Level, upper: Level, first: number, node: number) => boolean): void {
    let node = block >> FAN_OUT_BITS;
    for (let level = 1; level < this.levels.length; level++) {
      if (!recount(this.levels[level - 1]!, this.levels[level]!, node << FAN_OUT_BITS, node)) return;
      node >>= FAN_OUT_BITS;
    }
  }

  private holdFrom(minute: number): void {
    if (minute - MINUTE_SLACK <= this.fromMinute) return;
    this.fromMinute = minute - MINUTE_SLACK;
    const hour = Math.floor(minute / MINUTES_PER_HOUR) - HOUR_SLACK;
    if (hour > this.fromHour) this.fromHour = hour;
  }

  /** Makes room for a block, doubling; every level but the root is a whole number of nodes' children long. */
  private reserve(block: number): void {
    let blocks = Math.max(FIRST_BLOCKS, this.capacityBlocks);
    while (blocks <= block) blocks *= 2;
    if (blocks === this.capacityBlocks) return;
    this.capacityBlocks = blocks;
    this.liveBits = grown(this.liveBits, new Uint16Array(blocks));
    this.activeBits = grown(this.activeBits, new Uint16Array(blocks));
    this.sketches.reserve(blocks << FAN_OUT_BITS);
    this.tightenedMinute = grown(this.tightenedMinute, new Int32Array(blocks));
    for (let level = 0, nodes = blocks; ; level++, nodes = (nodes + FAN_OUT - 1) >> FAN_OUT_BITS) {
      const room = nodes === 1 ? 1 : (nodes + FAN_OUT - 1) & ~(FAN_OUT - 1);
      const isNew = level === this.levels.length;
      this.levels[level] = this.grownLevel(this.levels[level], room);
      if (isNew && level > 0) this.fillLevel(level);
      if (nodes === 1) break;
    }
  }

  private grownLevel(present: Level | undefined, room: number): Level {
    const sums = Array.from({ length: this.options.signals }, (_, signal) => {
      const numbers = new Float64Array(room * COLUMNS);
      for (let at = 0; at < numbers.length; at += COLUMNS) {
        numbers[at + DECAY_KEY] = Number.NEGATIVE_INFINITY;
        numbers[at + LEAST] = Number.POSITIVE_INFINITY;
      }
      return grown(present?.sums[signal], numbers);
    });
    return {
      sums,
      newestMs: grown(present?.newestMs, new Float64Array(room).fill(-1)),
      newestActiveMs: grown(present?.newestActiveMs, new Float64Array(room).fill(-1)),
      lowestEntity: grown(present?.lowestEntity, new Float64Array(room).fill(Number.POSITIVE_INFINITY)),
    };
  }

  /** A level that was not there: from the one below it. */
  private fillLevel(level: number): void {
    const lower = this.levels[level - 1]!;
    const upper = this.levels[level]!;
    for (let child = 0; child < lower.newestMs.length; child++) {
      const node = child >> FAN_OUT_BITS;
      upper.newestMs[node] = Math.max(upper.newestMs[node]!, lower.newestMs[child]!);
      upper.newestActiveMs[node] = Math.max(upper.newestActiveMs[node]!, lower.newestActiveMs[child]!);
      upper.lowestEntity[node] = Math.min(upper.lowestEntity[node]!, lower.lowestEntity[child]!);
      for (const [signal, numbers] of upper.sums.entries()) {
        for (let index = 0; index < COLUMNS; index++) {
          const at = node * COLUMNS + index;
          const value = lower.sums[signal]![child * COLUMNS + index]!;
          numbers[at] = index === LEAST ? Math.min(numbers[at]!, value) : Math.max(numbers[at]!, value);
        }
      }
    }
  }
}

function grown<Numbers extends Float64Array | Uint16Array | Int32Array>(
  present: Numbers | undefined,
  larger: Numbers,
): Numbers {
  if (present !== undefined) larger.set(present);
  return larger;
}

/** The place of the lowest bit of a number that has one. */
export function lowestBit(bits: number): number {
  return 31 - Math.clz32(bits & -bits);
}
