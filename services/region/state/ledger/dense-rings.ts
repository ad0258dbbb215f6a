/**
 * Both rings of a busy pair, one 32-bit word a bucket: 66 minutes, 170 hours, and a word that counts the buckets whose
 * sum needs a second limb. Bucket b of a ring of n lives at b mod n.
 *
 * In addition three totals, updated with every change: of all minutes, of the newest 26 hours, of all hours. Each covers a window
 * plus two or more buckets, so it is never below the sum of a window that ends with the ring or a little earlier: top-k bounds
 * scores by them.
 */

import type { VarintReader, VarintWriter } from '../../../../shared/kernel/varints.ts';
import { BlockPool } from '../memory/memory.ts';
import { Carries, exact } from './carries.ts';
import type { ListedRings, RingBuckets } from './ring-buckets.ts';
import type { RingKind, RingTotals } from './spans/spans.ts';
import { DAY_HOURS_KEPT, HOURS_KEPT, hourOf, MINUTES_KEPT } from './spans/spans.ts';

const HOURS_START = MINUTES_KEPT;
const WIDE_COUNT = MINUTES_KEPT + HOURS_KEPT;
const BLOCK_WORDS = WIDE_COUNT + 1;
const LIMB = 4_294_967_296;

const PAGE_BITS = 6;
const PAGE_MASK = (1 << PAGE_BITS) - 1;
const TOTALS = 4;
const MINUTES_TOTAL = 0;
const DAY_TOTAL = 1;
const HOURS_TOTAL = 2;
/** After the totals: the flushed part of the sum (see `rings.ts`). */
const SETTLED = 3;
/** Beyond it additions round: the total then counts as unlimited. */
const TOTAL_LIMIT = 2 ** 52;

export class DenseRings {
  private readonly blocks = new BlockPool({
    blockWords: BLOCK_WORDS,
    pageBits: PAGE_BITS,
    createPage: (words) => new Uint32Array(words),
  });
  private readonly carries = new Carries();

  private readonly totalPages: Float64Array[] = [];

  open(): number {
    const block = this.blocks.take();
    if (block >> PAGE_BITS === this.totalPages.length) this.totalPages.push(new Float64Array(TOTALS << PAGE_BITS));
    const start = (block & PAGE_MASK) * TOTALS;
    this.totalsPage(block).fill(0, start, start + TOTALS);
    return block;
  }

  flushed(block: number): number {
    return this.totalsPage(block)[(block & PAGE_MASK) * TOTALS + SETTLED]!;
  }

  flush(block: number, sum: number): void {
    this.totalsPage(block)[(block & PAGE_MASK) * TOTALS + SETTLED] = sum;
  }

  totals(block: number, totals: RingTotals): void {
    const page = this.totalsPage(block);
    const at = (block & PAGE_MASK) * TOTALS;
    totals.minutes = page[at + MINUTES_TOTAL]!;
    totals.day = page[at + DAY_TOTAL]!;
    totals.hours = page[at + HOURS_TOTAL]!;
  }

  close(block: number): void {
    this.clear(block, 0, WIDE_COUNT);
    this.blocks.give(block);
  }

  /** Adds `weight` (an exact integer) to its minute and its hour, if the rings up to `newest` cover them. */
  add(block: number, minute: number, newest: number, weight: number): void {
    const inMinutes = newest - minute < MINUTES_KEPT;
    if (inMinutes) this.addWord(block, remainder(minute, MINUTES_KEPT), weight);
    const hour = hourOf(minute);
    const age = hourOf(newest) - hour;
    if (age >= HOURS_KEPT) return;
    this.addWord(block, HOURS_START + remainder(hour, HOURS_KEPT), weight);
    this.addToTotals(block, weight, inMinutes, age < DAY_HOURS_KEPT);
  }

  /** Subtracts what `add` added, as far as the rings up to `newest` still cover it. */
  retract(block: number, minute: number, newest: number, weight: number): void {
    const inMinutes = newest - minute < MINUTES_KEPT;
    if (inMinutes) this.takeFromWord(block, remainder(minute, MINUTES_KEPT), weight);
    const hour = hourOf(minute);
    const age = hourOf(newest) - hour;
    if (age >= HOURS_KEPT) return;
    this.takeFromWord(block, HOURS_START + remainder(hour, HOURS_KEPT), weight);
    this.addToTotals(block, -weight, inMinutes, age < DAY_HOURS_KEPT);
  }

  /** Advances the newest minute, by less than all hours kept, and clears the buckets that drop out. */
  turn(block: number, from: number, to: number): void {
    const totals = this.totalsPage(block);
    const at = (block & PAGE_MASK) * TOTALS;
    // A total of 0 means that there is nothing to clear.
    if (totals[at + MINUTES_TOTAL] !== 0) {
      totals[at + MINUTES_TOTAL] =
        to - from >= MINUTES_KEPT
          ? this.clearAll(block, 0, MINUTES_KEPT)
          : totals[at + MINUTES_TOTAL]! - this.clearAfter(block, from, to, 0, MINUTES_KEPT);
    }
    const fromHour = hourOf(from);
    const toHour = hourOf(to);
    if (fromHour === toHour) return;
    if (totals[at + HOURS_TOTAL] !== 0) {
      totals[at + HOURS_TOTAL]! -= this.clearAfter(block, fromHour, toHour, HOURS_START, HOURS_KEPT);
    }
    if (totals[at + DAY_TOTAL] !== 0) {
      totals[at + DAY_TOTAL] =
        toHour - fromHour >= DAY_HOURS_KEPT ? 0 : limited(this.sum(block, 'hours', toHour - DAY_HOURS_KEPT, fromHour));
    }
  }

  /** `pending` (the unflushed part) + Σ of the buckets in (above, upTo], which the ring must cover; thousandths, rounded once. */
  sum(block: number, ring: RingKind, above: number, upTo: number, pending = 0): number {
    const base = ring === 'minutes' ? 0 : HOURS_START;
    const kept = ring === 'minutes' ? MINUTES_KEPT : HOURS_KEPT;
    const page = this.blocks.page(block);
    const start = this.blocks.start(block) + base;
    let position = remainder(above + 1, kept);
    let low = pending;
    const wide = page[start - base + WIDE_COUNT] !== 0;
    let carry = 0;
    for (let bucket = above + 1; bucket <= upTo; bucket++) {
      low += page[start + position]!;
      if (wide) carry += this.carries.get(block * BLOCK_WORDS + base + position);
      if (++position === kept) position = 0;
    }
    return carry * LIMB + low;
  }

  list(block: number, newest: number, { minutes, hours }: ListedRings): void {
    this.listRing(block, 0, MINUTES_KEPT, newest, minutes);
    this.listRing(block, HOURS_START, HOURS_KEPT, hourOf(newest), hours);
  }

  private listRing(block: number, base: number, kept: number, newest: number, into: RingBuckets): void {
    const page = this.blocks.page(block);
    const start = this.blocks.start(block);
    const oldest = Math.max(0, newest - kept + 1);
    const first = remainder(oldest, kept);
    if (page[start + WIDE_COUNT] !== 0) {
      this.listWide(block, base, kept, newest, into);
      return;
    }
    let count = 0;
    // Mostly zeros: from the oldest bucket to the end of the words, then from their beginning to the newest.
    const end = Math.min(kept, first + newest - oldest + 1);
    for (let position = first; position < end; position++) {
      const low = page[start + base + position]!;
      if (low !== 0) into.set(count++, oldest + position - first, low);
    }
    for (let position = 0; position < first && end === kept; position++) {
      const low = page[start + base + position]!;
      if (low !== 0) into.set(count++, oldest + kept - first + position, low);
    }
    into.count = count;
  }

  private listWide(block: number, base: number, kept: number, newest: number, into: RingBuckets): void {
    const page = this.blocks.page(block);
    const start = this.blocks.start(block);
    into.count = 0;
    for (let bucket = Math.max(0, newest - kept + 1); bucket <= newest; bucket++) {
      const position = base + remainder(bucket, kept);
      const low = page[start + position]!;
      const carry = this.carries.get(block * BLOCK_WORDS + position);
      if (low !== 0 || carry !== 0) into.setExact(into.count++, bucket, exact(low, carry, LIMB));
    }
  }

  write(block: number, newest: number, writer: VarintWriter): void {
    this.writeRing(block, newest, 0, MINUTES_KEPT, writer);
    this.writeRing(block, hourOf(newest), HOURS_START, HOURS_KEPT, writer);
  }

  private writeRing(block: number, newest: number, base: number, kept: number, writer: VarintWriter): void {
    const page = this.blocks.page(block);
    const start = this.blocks.start(block);
    const wide = page[start + WIDE_COUNT] !== 0;
    const carryOf = (position: number): number => (wide ? this.carries.get(block * BLOCK_WORDS + position) : 0);
    let buckets = 0;
    for (let position = base; position < base + kept; position++) {
      if (page[start + position] !== 0 || carryOf(position) !== 0) buckets++;
    }
    writer.varint(buckets);
    let index = remainder(newest, kept);
    for (let age = 0; age < kept; age++) {
      const position = base + index;
      index = index === 0 ? kept - 1 : index - 1;
      const low = page[start + position]!;
      const carry = carryOf(position);
      if (low === 0 && carry === 0) continue;
      writer.varint(age);
      writer.varint(low * 2 + (carry === 0 ? 0 : 1));
      if (carry !== 0) writer.varint(carry);
    }
  }

  /** Fills an allocated block, all zero, with the bytes of `write`. */
  read(block: number, newest: number, reader: VarintReader): void {
    this.readRing(block, newest, 0, MINUTES_KEPT, reader);
    this.readRing(block, hourOf(newest), HOURS_START, HOURS_KEPT, reader);
    const hour = hourOf(newest);
    const totals = this.totalsPage(block);
    const start = (block & PAGE_MASK) * TOTALS;
    totals[start + MINUTES_TOTAL] = limited(this.sum(block, 'minutes', newest - MINUTES_KEPT, newest));
    totals[start + DAY_TOTAL] = limited(this.sum(block, 'hours', hour - DAY_HOURS_KEPT, hour));
    totals[start + HOURS_TOTAL] = limited(this.sum(block, 'hours', hour - HOURS_KEPT, hour));
  }

  private totalsPage(block: number): Float64Array {
    return this.totalPages[block >> PAGE_BITS]!;
  }

  private addToTotals(block: number, weight: number, inMinutes: boolean, inDay: boolean): void {
    const totals = this.totalsPage(block);
    const at = (block & PAGE_MASK) * TOTALS;
    if (inMinutes) totals[at + MINUTES_TOTAL] = limited(totals[at + MINUTES_TOTAL]! + weight);
    if (inDay) totals[at + DAY_TOTAL] = limited(totals[at + DAY_TOTAL]! + weight);
    totals[at + HOURS_TOTAL] = limited(totals[at + HOURS_TOTAL]! + weight);
  }

  private readRing(block: number, newest: number, base: number, kept: number, reader: VarintReader): void {
    const page = this.blocks.page(block);
    const start = this.blocks.start(block);
    for (let left = reader.varint(); left > 0; left--) {
      const position = base + remainder(newest + kept - reader.varint(), kept);
      const marked = reader.varint();
      const low = Math.floor(marked / 2);
      page[start + position] = low;
      if (marked === low * 2) continue;
      this.carries.set(block * BLOCK_WORDS + position, reader.varint());
      page[start + WIDE_COUNT]! += 1;
    }
  }

  private addWord(block: number, position: number, weight: number): void {
    const page = this.blocks.page(block);
    const start = this.blocks.start(block);
    const value = page[start + position]! + weight;
    if (value < LIMB) {
      page[start + position] = value;
      return;
    }
    const carry = Math.floor(value / LIMB);
    page[start + position] = value - carry * LIMB;
    if (this.carries.add(block * BLOCK_WORDS + position, carry)) page[start + WIDE_COUNT]! += 1;
  }

  private takeFromWord(block: number, position: number, weight: number): void {
    const page = this.blocks.page(block);
    const start = this.blocks.start(block);
    const value = page[start + position]! - weight;
    if (value >= 0) {
      page[start + position] = value;
      return;
    }
    const carry = Math.ceil(-value / LIMB);
    page[start + position] = value + carry * LIMB;
    if (this.carries.take(block * BLOCK_WORDS + position, carry)) page[start + WIDE_COUNT]! -= 1;
  }

  /** Returns the sum of the buckets that dropped out, thousandths. */
  private clearAfter(block: number, from: number, to: number, base: number, kept: number): number {
    const count = Math.min(to - from, kept);
    if (count <= 0) return 0;
    const first = remainder(from + 1, kept);
    const untilEnd = Math.min(count, kept - first);
    return this.clear(block, base + first, base + first + untilEnd) + this.clear(block, base, base + count - untilEnd);
  }

  /** Returns the rest: 0. */
  private clearAll(block: number, first: number, end: number): 0 {
    const page = this.blocks.page(block);
    const start = this.blocks.start(block);
    page.fill(0, start + first, start + end);
    if (page[start + WIDE_COUNT] !== 0) this.clear(block, first, end);
    return 0;
  }

  private clear(block: number, first: number, end: number): number {
    const page = this.blocks.page(block);
    const start = this.blocks.start(block);
    let cleared = 0;
    // Mostly one bucket: a call of fill costs more than the loop.
    for (let position = first; position < end; position++) {
      cleared += page[start + position]!;
      page[start + position] = 0;
    }
    if (page[start + WIDE_COUNT] === 0) return cleared;
    for (let position = first; position < end; position++) {
      const key = block * BLOCK_WORDS + position;
      cleared += this.carries.get(key) * LIMB;
      if (this.carries.delete(key)) page[start + WIDE_COUNT]! -= 1;
    }
    return cleared;
  }
}

function limited(total: number): number {
  return total > TOTAL_LIMIT ? Number.POSITIVE_INFINITY : total;
}

/** `value` mod `divisor` of non-negative integers below 2^53; faster than % on floats. */
function remainder(value: number, divisor: number): number {
  return value - divisor * Math.floor(value / divisor);
}
