/**
 * Both rings of a quiet pair: up to six minutes of the last 170 hours that have events, each with its sum. An hour's bucket is
 * the sum of its minutes, so the one list represents both rings.
 *
 * An entry is two 32-bit words: the minute modulo 2^32 (entries lie within 170 hours of the newest minute, so it is unambiguous)
 * and its sum; a sum of 0 is a free entry. The caller moves rings that do not fit into `DenseRings`.
 */

import { assert } from '../../../../shared/kernel/kernel.ts';
import type { VarintReader, VarintWriter } from '../../../../shared/kernel/varints.ts';
import { BlockPool } from '../memory/memory.ts';
import type { ListedRings } from './ring-buckets.ts';
import { SPARSE_ENTRIES } from './shards/shards.ts';
import type { RingKind, RingTotals } from './spans/spans.ts';
import { DAY_HOURS_KEPT, HOURS_KEPT, hourOf, MINUTES_KEPT } from './spans/spans.ts';

const ENTRY_WORDS = SPARSE_ENTRIES * 2;
/** After the entries: the settled part of the sum (see `rings.ts`), its low and its high word. */
const SETTLED = ENTRY_WORDS;
const BLOCK_WORDS = ENTRY_WORDS + 2;
const LIMIT = 4_294_967_296;

export class SparseRings {
  private readonly blocks = new BlockPool({
    blockWords: BLOCK_WORDS,
    pageBits: 10,
    createPage: (words) => new Uint32Array(words),
  });

  open(): number {
    return this.blocks.take();
  }

  close(block: number): void {
    this.blocks.give(block);
  }

  flushed(block: number): number {
    const page = this.blocks.page(block);
    const at = this.blocks.start(block) + SETTLED;
    return page[at]! + page[at + 1]! * LIMIT;
  }

  flush(block: number, sum: number): void {
    const page = this.blocks.page(block);
    const at = this.blocks.start(block) + SETTLED;
    page[at] = sum;
    page[at + 1] = sum / LIMIT;
  }

  /** Adds `weight` > 0 at a minute that the hour ring up to `newest` covers; false, without a change, if it does not fit. */
  add(block: number, minute: number, weight: number): boolean {
    const page = this.blocks.page(block);
    const start = this.blocks.start(block);
    const key = minute >>> 0;
    let free = -1;
    for (let at = start; at < start + ENTRY_WORDS; at += 2) {
      const present = page[at + 1]!;
      if (present === 0) {
        free = at;
      } else if (page[at] === key) {
        if (present + weight >= LIMIT) return false;
        page[at + 1] = present + weight;
        return true;
      }
    }
    if (free < 0 || weight >= LIMIT) return false;
    page[free] = key;
    page[free + 1] = weight;
    return true;
  }

  /** Subtracts `weight` > 0 that was added at a minute that the hour ring still covers. */
  retract(block: number, minute: number, weight: number): void {
    const page = this.blocks.page(block);
    const start = this.blocks.start(block);
    const key = minute >>> 0;
    for (let at = start; at < start + ENTRY_WORDS; at += 2) {
      if (page[at + 1] === 0 || page[at] !== key) continue;
      assert(page[at + 1]! >= weight, 'no more is taken from a minute than it holds', () => ({ minute, weight }));
      page[at + 1]! -= weight;
      return;
    }
    assert(false, 'what is retracted was added', () => ({ minute, weight }));
  }

  /** Advances the newest minute: entries that drop out of the hour ring are freed. */
  turn(block: number, from: number, to: number): void {
    const oldestHour = hourOf(to) - HOURS_KEPT + 1;
    if (hourOf(from) === hourOf(to)) return;
    const page = this.blocks.page(block);
    const start = this.blocks.start(block);
    for (let at = start; at < start + ENTRY_WORDS; at += 2) {
      if (page[at + 1] !== 0 && hourOf(minuteAt(page[at]!, from)) < oldestHour) page[at + 1] = 0;
    }
  }

  /** `pending` + Σ of the buckets in (above, upTo], which the ring must cover; thousandths. */
  sum(block: number, newest: number, ring: RingKind, above: number, upTo: number, pending: number): number {
    const page = this.blocks.page(block);
    const start = this.blocks.start(block);
    let sum = pending;
    for (let at = start; at < start + ENTRY_WORDS; at += 2) {
      const value = page[at + 1]!;
      if (value === 0) continue;
      const minute = minuteAt(page[at]!, newest);
      const bucket = ring === 'minutes' ? minute : hourOf(minute);
      if (bucket > above && bucket <= upTo) sum += value;
    }
    return sum;
  }

  /** The three totals up to `newest`. */
  totals(block: number, newest: number, totals: RingTotals): void {
    const page = this.blocks.page(block);
    const start = this.blocks.start(block);
    const newestHour = hourOf(newest);
    let minutes = 0;
    let day = 0;
    let hours = 0;
    for (let at = start; at < start + ENTRY_WORDS; at += 2) {
      const value = page[at + 1]!;
      if (value === 0) continue;
      const minute = minuteAt(page[at]!, newest);
      if (newest - minute < MINUTES_KEPT) minutes += value;
      else if (newestHour - hourOf(minute) < DAY_HOURS_KEPT) day += value;
      else hours += value;
    }
    totals.minutes = minutes;
    totals.day = minutes + day;
    totals.hours = minutes + day + hours;
  }

  visit(block: number, newest: number, visit: (minute: number, sum: number) => void): void {
    const page = this.blocks.page(block);
    const start = this.blocks.start(block);
    for (let at = start; at < start + ENTRY_WORDS; at += 2) {
      if (page[at + 1] !== 0) visit(minuteAt(page[at]!, newest), page[at + 1]!);
    }
  }

  write(block: number, newest: number, writer: VarintWriter): void {
    const entries: [minute: number, sum: number][] = [];
    this.visit(block, newest, (minute, sum) => entries.push([minute, sum]));
    writer.varint(entries.length);
    for (const [minute, sum] of entries.sort(([a], [b]) => a - b)) {
      writer.varint(newest - minute);
      writer.varint(sum);
    }
  }

  /** Fills an allocated block, all zero, with the bytes of `write`. */
  read(block: number, newest: number, reader: VarintReader): void {
    for (let left = reader.varint(); left > 0; left--) {
      const minute = newest - reader.varint();
      assert(this.add(block, minute, reader.varint()), 'what fitted into sparse rings fits again');
    }
  }

  list(block: number, newest: number, { minutes, hours }: ListedRings): void {
    const page = this.blocks.page(block);
    const start = this.blocks.start(block);
    minutes.count = 0;
    hours.count = 0;
    for (let at = start; at < start + ENTRY_WORDS; at += 2) {
      const value = page[at + 1]!;
      if (value === 0) continue;
      const age = ageOf(page[at]!, newest);
      hours.add(hourOf(newest - age), value);
      if (age < MINUTES_KEPT) minutes.add(newest - age, value);
    }
  }
}

/** The whole minute number, from its low 32 bits and a newer minute. */
function minuteAt(low: number, newest: number): number {
  return newest - ageOf(low, newest);
}

function ageOf(low: number, newest: number): number {
  return ((newest >>> 0) - low) >>> 0;
}
