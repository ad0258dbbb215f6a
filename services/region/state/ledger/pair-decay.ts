/**
 * The decay buckets of one signal's pairs: the newest in the pair's record, older ones in blocks of their own. See `decay.ts`.
 */
import { BlockPool } from '../memory/memory.ts';
import type { Carries } from './carries.ts';
import { bucketSum, DECAY_BUCKETS, type Decay } from './decay/decay.ts';
import { DECAY_BUCKET, LAST_MS, OLDER_BUCKETS, type PairTable } from './pair-table.ts';
import { LIMB } from './shards/shards.ts';

/** Carry keys of a slot: its decay buckets by age, its sum, its count. */
export const CARRIES = DECAY_BUCKETS + 2;
export const SUM_CARRY = DECAY_BUCKETS;
const OLDER = DECAY_BUCKETS - 1;

export class PairDecay {
  private readonly decay: Decay;
  private readonly table: PairTable;
  private readonly carries: Carries;
  /** Buckets newest − 1 … newest − 3 of the pairs that have any. */
  private readonly olderCells = new BlockPool({
    blockWords: OLDER,
    pageBits: 10,
    createPage: (words) => new Float64Array(words),
  });

  constructor({ decay, table, carries }: { decay: Decay; table: PairTable; carries: Carries }) {
    this.decay = decay;
    this.table = table;
    this.carries = carries;
  }

  /** Subtracts what `add` of the same event added, as far as it is still kept. */
  retract(slot: number, weight: number, timeMs: number, lastMs: number): void {
    const cell = this.decay.bucketOf(timeMs);
    const age = this.decay.bucketOf(lastMs) - cell;
    const contribution = this.decay.contribution(weight, timeMs, cell);
    if (age >= DECAY_BUCKETS || contribution === 0) return;
    let value = this.low(slot, age) - contribution;
    if (value < 0) {
      this.carries.take(slot * CARRIES + age, 1);
      value += LIMB;
    }
    this.setLow(slot, age, value);
  }

  /** Whether any older bucket is not 0: a block may remain after a retraction. */
  hasOlder(slot: number): boolean {
    if (this.olderBlock(slot) === undefined) return false;
    for (let age = 1; age < DECAY_BUCKETS; age++) if (this.low(slot, age) !== 0) return true;
    return false;
  }

  /** Adds an event of `weight` thousandths, before its time is stored in the pair's record. */
  add(slot: number, weight: number, timeMs: number): void {
    const record = this.table.record(slot);
    const field = this.table.field(slot);
    const cell = this.decay.bucketOf(timeMs);
    const newest = this.decay.bucketOf(record[field + LAST_MS]!);
    if (cell !== newest) {
      this.addApart(slot, weight, timeMs, newest);
      return;
    }
    record[field + DECAY_BUCKET] = this.fit(
      slot,
      0,
      record[field + DECAY_BUCKET]! + this.decay.contribution(weight, timeMs, cell),
    );
  }

  /** Adds to another bucket than the newest. */
  private addApart(slot: number, weight: number, timeMs: number, newest: number): void {
    const cell = this.decay.bucketOf(timeMs);
    if (cell > newest) this.shift(slot, cell - newest);
    const age = Math.max(0, newest - cell);
    if (age >= DECAY_BUCKETS) return;
    const contribution = this.decay.contribution(weight, timeMs, cell);
    if (age > 0) {
      this.addOlder(slot, age, contribution);
      return;
    }
    const record = this.table.record(slot);
    const at = this.table.field(slot) + DECAY_BUCKET;
    record[at] = this.fit(slot, age, record[at]! + contribution);
  }

  private addOlder(slot: number, age: number, contribution: number): void {
    if (contribution === 0) return;
    const block = this.olderBlock(slot) ?? this.openOlderBlock(slot);
    const page = this.olderCells.page(block);
    const at = this.olderCells.start(block) + age - 1;
    page[at] = this.fit(slot, age, page[at]! + contribution);
  }

  /** The low limb of a bucket's new value; the excess is carried. */
  private fit(slot: number, age: number, value: number): number {
    if (value < LIMB) return value;
    this.carries.add(slot * CARRIES + age, 1);
    return value - LIMB;
  }

  /** Advances the newest bucket by `by` ≥ 1: every bucket ages, the oldest are dropped. */
  private shift(slot: number, by: number): void {
    for (let age = DECAY_BUCKETS - 1; age >= 0; age--) {
      const from = age - by;
      this.setLow(slot, age, from >= 0 ? this.low(slot, from) : 0);
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
    this.table.links(slot)[this.table.link(slot) + OLDER_BUCKETS] = 0;
  }

  /** The low limb of the bucket `age` buckets before the newest. */
  low(slot: number, age: number): number {
    if (age === 0) return this.table.record(slot)[this.table.field(slot) + DECAY_BUCKET]!;
    const block = this.olderBlock(slot);
    return block === undefined ? 0 : this.olderCells.page(block)[this.olderCells.start(block) + age - 1]!;
  }

  setLow(slot: number, age: number, low: number): void {
    if (age === 0) {
      this.table.record(slot)[this.table.field(slot) + DECAY_BUCKET] = low;
      return;
    }
    const present = this.olderBlock(slot);
    if (present === undefined && low === 0) return;
    const block = present ?? this.openOlderBlock(slot);
    this.olderCells.page(block)[this.olderCells.start(block) + age - 1] = low;
  }

  private olderBlock(slot: number): number | undefined {
    const link = this.table.links(slot)[this.table.link(slot) + OLDER_BUCKETS]!;
    return link === 0 ? undefined : link - 1;
  }

  private openOlderBlock(slot: number): number {
    const block = this.olderCells.take();
    this.table.links(slot)[this.table.link(slot) + OLDER_BUCKETS] = block + 1;
    return block;
  }

  newest(slot: number): number {
    return this.decay.bucketOf(this.table.record(slot)[this.table.field(slot) + LAST_MS]!);
  }

  /** Σ bucket · 256^(k − newest). */
  sum(slot: number): number {
    if (this.olderBlock(slot) === undefined && !this.carries.any) return this.low(slot, 0);
    return bucketSum(this.cell(slot, 0), this.cell(slot, 1), this.cell(slot, 2), this.cell(slot, 3));
  }

  private cell(slot: number, age: number): number {
    const low = this.low(slot, age);
    return this.carries.any ? this.carries.get(slot * CARRIES + age) * LIMB + low : low;
  }
}
