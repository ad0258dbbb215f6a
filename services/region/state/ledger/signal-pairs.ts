/**
 * The pairs of one signal: applies events to their records, decay cells and rings, and reads them.
 *
 * A pair's newest minute, hour and decay cell are those of its latest event time, so the record holds only that. In the
 * common case - a known pair, the newest cell, a minute already seen - an event writes a few words in place and allocates
 * nothing.
 */
import { assert } from '../../../../shared/kernel/kernel.ts';
import { WEIGHT_SCALE } from '../../../../shared/protocol/events.ts';
import type { Window } from '../../../../shared/schema/schema.ts';
import { BlockPool } from './block-pool.ts';
import { Carries, exact } from './carries.ts';
import { CELLS, cellSum, type Decay, sortKey } from './decay.ts';
import type { SignalReading } from './ledger.ts';
import { CELL, COUNT, FIRST_MS, LAST_MS, OLDER_CELLS, PairTable, RINGS, SUM } from './pair-table.ts';
import type { BucketValues, RingKind } from './ring-spans.ts';
import { HOURS_KEPT, hourOf, MINUTE_MS, MINUTES_KEPT, windowSpans } from './ring-spans.ts';
import { Rings } from './rings.ts';
import type { ShardReader, ShardWriter } from './shard-codec.ts';

/** Low limbs of sums and cells stay below this; one more event on top of it is still exact in 53 bits. */
const LIMB = 2 ** 52;
const OLDER = CELLS - 1;
/** Carry keys of a slot: its cells by age, then its sum. */
const CARRIES = CELLS + 1;
const SUM_CARRY = CELLS;

/** What follows a pair's fixed fields in a shard. */
const HAS_OLDER = 1;
const HAS_CARRIES = 2;
const HAS_SPARSE = 4;
const HAS_DENSE = 8;
/** Most bytes of a pair: both dense rings full of wide sums, and the rest. */
const PAIR_LIMIT_BYTES = (MINUTES_KEPT + HOURS_KEPT) * 18 + 256;

export class SignalPairs {
  readonly table = new PairTable();
  private readonly decay: Decay;
  private readonly rings = new Rings();
  /** Cells newest − 1 … newest − 3 of the pairs that have any. */
  private readonly olderCells = new BlockPool({
    blockWords: OLDER,
    pageBits: 10,
    createPage: (words) => new Float64Array(words),
  });
  private readonly carries = new Carries();

  constructor(decay: Decay) {
    this.decay = decay;
  }

  /** An event and the 1 it counts; or one that only has its time noted: weight and `counted` 0. */
  put(entity: number, weight: number, timeMs: number, counted: 0 | 1): void {
    const before = this.table.size;
    const slot = this.table.findOrAdd(entity);
    const record = this.table.record(slot);
    const at = this.table.field(slot);
    if (this.table.size > before) {
      record[at + SUM] = weight;
      record[at + COUNT] = counted;
      record[at + FIRST_MS] = timeMs;
      record[at + LAST_MS] = timeMs;
      record[at + CELL] = this.decay.contribution(weight, timeMs, this.decay.cellOf(timeMs));
      return;
    }
    const lastMs = record[at + LAST_MS]!;
    this.addToRings(slot, weight, timeMs, lastMs);
    this.addToCells(slot, weight, timeMs, lastMs);
    const sum = record[at + SUM]! + weight;
    if (sum < LIMB) {
      record[at + SUM] = sum;
    } else {
      record[at + SUM] = sum - LIMB;
      this.carries.add(slot * CARRIES + SUM_CARRY, 1);
    }
    record[at + COUNT]! += counted;
    if (timeMs > lastMs) record[at + LAST_MS] = timeMs;
    else if (timeMs < record[at + FIRST_MS]!) record[at + FIRST_MS] = timeMs;
  }

  /** Takes out what `put` of the same event added and no newer one has cleared since. */
  retract(entity: number, weight: number, timeMs: number): void {
    const slot = this.table.find(entity);
    assert(slot >= 0, 'only what was added is retracted', () => ({ entity }));
    const record = this.table.record(slot);
    const at = this.table.field(slot);
    assert(record[at + COUNT]! > 0, 'only what counts is retracted', () => ({ entity }));
    record[at + COUNT]! -= 1;
    record[at + SUM] = this.takeOut(slot, SUM_CARRY, record[at + SUM]! - weight);
    const lastMs = record[at + LAST_MS]!;
    const reference = this.table.links(slot)[this.table.link(slot) + RINGS]!;
    if (reference !== 0) {
      this.rings.retract(reference, Math.floor(timeMs / MINUTE_MS), Math.floor(lastMs / MINUTE_MS), weight);
    }
    const cell = this.decay.cellOf(timeMs);
    const age = this.decay.cellOf(lastMs) - cell;
    const contribution = this.decay.contribution(weight, timeMs, cell);
    if (age >= CELLS || contribution === 0) return;
    this.setCellLow(slot, age, this.takeOut(slot, age, this.cellLow(slot, age) - contribution));
  }

  /** The low limb of a value that went down; what is missing is taken from its carry. */
  private takeOut(slot: number, carryOf: number, value: number): number {
    if (value >= 0) return value;
    this.carries.take(slot * CARRIES + carryOf, 1);
    return value + LIMB;
  }

  /** One window's sum, weights. */
  sum(entity: number, window: Window, atMs: number): number {
    const slot = this.table.find(entity);
    return slot < 0 ? 0 : this.windowSum(slot, window, atMs);
  }

  decayed(entity: number, atMs: number): number {
    const slot = this.table.find(entity);
    return slot < 0 ? 0 : this.decay.score(this.newestCell(slot), this.cellSum(slot), atMs);
  }

  sortKey(entity: number): number {
    const slot = this.table.find(entity);
    return slot < 0 ? Number.NEGATIVE_INFINITY : sortKey(this.newestCell(slot), this.cellSum(slot));
  }

  read(entity: number, atMs: number): SignalReading | undefined {
    const slot = this.table.find(entity);
    if (slot < 0) return undefined;
    const record = this.table.record(slot);
    const at = this.table.field(slot);
    return {
      sums: {
        '1h': this.windowSum(slot, '1h', atMs),
        '24h': this.windowSum(slot, '24h', atMs),
        '7d': this.windowSum(slot, '7d', atMs),
        all: this.windowSum(slot, 'all', atMs),
      },
      count: record[at + COUNT]!,
      decayed: this.decay.score(this.newestCell(slot), this.cellSum(slot), atMs),
      firstMs: record[at + FIRST_MS]!,
      lastMs: record[at + LAST_MS]!,
    };
  }

  /** Every stored value, by value: count, sum, first, last, four cells newest first, then each ring's length and content. */
  describe(slot: number): (number | bigint)[] {
    const record = this.table.record(slot);
    const at = this.table.field(slot);
    const parts: (number | bigint)[] = [
      record[at + COUNT]!,
      exact(record[at + SUM]!, this.carries.get(slot * CARRIES + SUM_CARRY), LIMB),
      record[at + FIRST_MS]!,
      record[at + LAST_MS]!,
    ];
    for (let age = 0; age < CELLS; age++) {
      parts.push(exact(this.cellLow(slot, age), this.carries.get(slot * CARRIES + age), LIMB));
    }
    for (const ring of ['minutes', 'hours'] as const) {
      const values = this.ringValues(slot, ring);
      parts.push(values.length / 2, ...values);
    }
    return parts;
  }

  /** Writes the pair of an entity, which is there; `step` is what its entity exceeds the one before by. */
  encode(entity: number, step: number, writer: ShardWriter): void {
    const slot = this.table.find(entity);
    const record = this.table.record(slot);
    const at = this.table.field(slot);
    const reference = this.table.links(slot)[this.table.link(slot) + RINGS]!;
    const older = this.hasOlderCells(slot);
    const carried = this.carries.any && this.hasCarries(slot);
    const form = reference === 0 ? 0 : reference > 0 ? HAS_SPARSE : HAS_DENSE;
    const lastMs = record[at + LAST_MS]!;
    writer.room(PAIR_LIMIT_BYTES);
    writer.varint(step);
    writer.byte((older ? HAS_OLDER : 0) | (carried ? HAS_CARRIES : 0) | form);
    writer.varint(record[at + COUNT]!);
    writer.varint(record[at + SUM]!);
    writer.varint(lastMs);
    writer.varint(lastMs - record[at + FIRST_MS]!);
    writer.varint(record[at + CELL]!);
    if (older) for (let age = 1; age < CELLS; age++) writer.varint(this.cellLow(slot, age));
    if (carried) for (let key = 0; key < CARRIES; key++) writer.varint(this.carries.get(slot * CARRIES + key));
    if (reference !== 0) this.rings.write(reference, Math.floor(lastMs / MINUTE_MS), writer);
  }

  /** Opens a pair with what `encode` wrote after its step. */
  decode(entity: number, reader: ShardReader): void {
    const before = this.table.size;
    const slot = this.table.findOrAdd(entity);
    assert(slot === before, 'a shard is loaded into an empty one', () => ({ entity }));
    const record = this.table.record(slot);
    const at = this.table.field(slot);
    const parts = reader.byte();
    record[at + COUNT] = reader.varint();
    record[at + SUM] = reader.varint();
    const lastMs = reader.varint();
    record[at + LAST_MS] = lastMs;
    record[at + FIRST_MS] = lastMs - reader.varint();
    record[at + CELL] = reader.varint();
    if ((parts & HAS_OLDER) !== 0) for (let age = 1; age < CELLS; age++) this.setCellLow(slot, age, reader.varint());
    if ((parts & HAS_CARRIES) !== 0) {
      for (let key = 0; key < CARRIES; key++) this.carries.set(slot * CARRIES + key, reader.varint());
    }
    if ((parts & (HAS_SPARSE | HAS_DENSE)) === 0) return;
    const form = (parts & HAS_DENSE) === 0 ? 'sparse' : 'dense';
    const reference = this.rings.read(form, Math.floor(lastMs / MINUTE_MS), reader);
    this.table.links(slot)[this.table.link(slot) + RINGS] = reference;
  }

  /** Whether any is not 0: a block may be left over from what was retracted. */
  private hasOlderCells(slot: number): boolean {
    if (this.olderBlock(slot) === undefined) return false;
    for (let age = 1; age < CELLS; age++) if (this.cellLow(slot, age) !== 0) return true;
    return false;
  }

  private hasCarries(slot: number): boolean {
    for (let key = 0; key < CARRIES; key++) if (this.carries.get(slot * CARRIES + key) !== 0) return true;
    return false;
  }

  private addToRings(slot: number, weight: number, timeMs: number, lastMs: number): void {
    const minute = Math.floor(timeMs / MINUTE_MS);
    const newest = Math.floor(lastMs / MINUTE_MS);
    const links = this.table.links(slot);
    const link = this.table.link(slot) + RINGS;
    let reference = links[link]!;
    if (reference === 0) {
      if (minute === newest) return;
      const low = this.table.record(slot)[this.table.field(slot) + SUM]!;
      reference = this.rings.open(newest, low);
      for (let carry = this.carries.get(slot * CARRIES + SUM_CARRY); carry > 0; carry--) {
        reference = this.rings.add(reference, newest, newest, LIMB);
      }
    }
    links[link] = this.rings.add(reference, minute, newest, weight);
  }

  private addToCells(slot: number, weight: number, timeMs: number, lastMs: number): void {
    const cell = this.decay.cellOf(timeMs);
    const newest = this.decay.cellOf(lastMs);
    if (cell > newest) this.shiftCells(slot, cell - newest);
    const age = Math.max(0, newest - cell);
    if (age >= CELLS) return;
    const contribution = this.decay.contribution(weight, timeMs, cell);
    if (age > 0) {
      this.addToOlderCell(slot, age, contribution);
      return;
    }
    const record = this.table.record(slot);
    const at = this.table.field(slot) + CELL;
    record[at] = this.fit(slot, age, record[at]! + contribution);
  }

  private addToOlderCell(slot: number, age: number, contribution: number): void {
    if (contribution === 0) return;
    const block = this.olderBlock(slot) ?? this.openOlderBlock(slot);
    const page = this.olderCells.page(block);
    const at = this.olderCells.start(block) + age - 1;
    page[at] = this.fit(slot, age, page[at]! + contribution);
  }

  /** The low limb of a cell's new value; what exceeds it is carried. */
  private fit(slot: number, age: number, value: number): number {
    if (value < LIMB) return value;
    this.carries.add(slot * CARRIES + age, 1);
    return value - LIMB;
  }

  /** The newest cell rises by `by` ≥ 1: every cell ages, the oldest fall out. */
  private shiftCells(slot: number, by: number): void {
    for (let age = CELLS - 1; age >= 0; age--) {
      const from = age - by;
      this.setCellLow(slot, age, from >= 0 ? this.cellLow(slot, from) : 0);
      const carry = from >= 0 && this.carries.any ? this.carries.get(slot * CARRIES + from) : 0;
      if (this.carries.any) this.carries.set(slot * CARRIES + age, carry);
    }
    const block = this.olderBlock(slot);
    if (block === undefined) return;
    const page = this.olderCells.page(block);
    const start = this.olderCells.start(block);
    for (let index = 0; index < OLDER; index++) {
      if (page[start + index] !== 0 || this.carries.get(slot * CARRIES + index + 1) !== 0) return;
    }
    this.olderCells.give(block);
    this.table.links(slot)[this.table.link(slot) + OLDER_CELLS] = 0;
  }

  private cellLow(slot: number, age: number): number {
    if (age === 0) return this.table.record(slot)[this.table.field(slot) + CELL]!;
    const block = this.olderBlock(slot);
    return block === undefined ? 0 : this.olderCells.page(block)[this.olderCells.start(block) + age - 1]!;
  }

  private setCellLow(slot: number, age: number, low: number): void {
    if (age === 0) {
      this.table.record(slot)[this.table.field(slot) + CELL] = low;
      return;
    }
    const present = this.olderBlock(slot);
    if (present === undefined && low === 0) return;
    const block = present ?? this.openOlderBlock(slot);
    this.olderCells.page(block)[this.olderCells.start(block) + age - 1] = low;
  }

  private olderBlock(slot: number): number | undefined {
    const link = this.table.links(slot)[this.table.link(slot) + OLDER_CELLS]!;
    return link === 0 ? undefined : link - 1;
  }

  private openOlderBlock(slot: number): number {
    const block = this.olderCells.take();
    this.table.links(slot)[this.table.link(slot) + OLDER_CELLS] = block + 1;
    return block;
  }

  private newestCell(slot: number): number {
    return this.decay.cellOf(this.table.record(slot)[this.table.field(slot) + LAST_MS]!);
  }

  private cellSum(slot: number): number {
    if (this.olderBlock(slot) === undefined && !this.carries.any) return this.cellLow(slot, 0);
    return cellSum(this.cell(slot, 0), this.cell(slot, 1), this.cell(slot, 2), this.cell(slot, 3));
  }

  private cell(slot: number, age: number): number {
    const low = this.cellLow(slot, age);
    return this.carries.any ? this.carries.get(slot * CARRIES + age) * LIMB + low : low;
  }

  private allThousandths(slot: number): number {
    const low = this.table.record(slot)[this.table.field(slot) + SUM]!;
    return this.carries.any ? this.carries.get(slot * CARRIES + SUM_CARRY) * LIMB + low : low;
  }

  private windowSum(slot: number, window: Window, atMs: number): number {
    if (window === 'all') return this.allThousandths(slot) / WEIGHT_SCALE;
    const { ring, count } = windowSpans[window];
    const newestMinute = Math.floor(this.table.record(slot)[this.table.field(slot) + LAST_MS]! / MINUTE_MS);
    const nowMinute = Math.floor(atMs / MINUTE_MS);
    const newest = ring === 'minutes' ? newestMinute : hourOf(newestMinute);
    const now = ring === 'minutes' ? nowMinute : hourOf(nowMinute);
    const above = Math.max(now - count, newest - (ring === 'minutes' ? MINUTES_KEPT : HOURS_KEPT), -1);
    const upTo = Math.min(now, newest);
    if (upTo <= above) return 0;
    const reference = this.table.links(slot)[this.table.link(slot) + RINGS]!;
    if (reference !== 0) return this.rings.sum(reference, newestMinute, ring, above, upTo) / WEIGHT_SCALE;
    return newest <= upTo ? this.allThousandths(slot) / WEIGHT_SCALE : 0;
  }

  private ringValues(slot: number, ring: RingKind): BucketValues {
    const newestMinute = Math.floor(this.table.record(slot)[this.table.field(slot) + LAST_MS]! / MINUTE_MS);
    const reference = this.table.links(slot)[this.table.link(slot) + RINGS]!;
    if (reference !== 0) return this.rings.values(reference, ring, newestMinute);
    const low = this.table.record(slot)[this.table.field(slot) + SUM]!;
    const sum = exact(low, this.carries.get(slot * CARRIES + SUM_CARRY), LIMB);
    if (sum === 0) return [];
    return [ring === 'minutes' ? newestMinute : hourOf(newestMinute), sum];
  }
}
