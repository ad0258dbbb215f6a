/**
 * What one signal's pairs hold, value by value: the same numbers whatever form a pair's rings are in, and whether or not its newest
 * minute was flushed into them. Reading changes no form and allocates next to nothing: the digest reads every pair.
 */
import type { ValueSink } from '../digest/digest.ts';
import { type Carries, exact } from './carries.ts';
import { DECAY_BUCKETS } from './decay/decay.ts';
import { CARRIES, type PairDecay, SUM_CARRY } from './pair-decay.ts';
import { FIRST_MS, LAST_MS, type PairTable, RINGS, SUM } from './pair-table.ts';
import { RingBuckets } from './ring-buckets.ts';
import type { Rings } from './rings.ts';
import { LIMB } from './shards/shards.ts';
import { type BucketValues, hourOf, MINUTE_MS, type RingKind } from './spans/spans.ts';

export interface PairValuesOptions {
  readonly table: PairTable;
  readonly carries: Carries;
  readonly cells: PairDecay;
  readonly rings: Rings;
}

export class PairValues {
  private readonly table: PairTable;
  private readonly carries: Carries;
  private readonly cells: PairDecay;
  private readonly rings: Rings;
  private readonly listed = { minutes: new RingBuckets(), hours: new RingBuckets() };

  constructor({ table, carries, cells, rings }: PairValuesOptions) {
    this.table = table;
    this.carries = carries;
    this.cells = cells;
    this.rings = rings;
  }

  /** Sum, first, last, four decay buckets newest first, then each ring's length and content. */
  describe(slot: number, sink: Pick<ValueSink, 'number'>): void {
    const record = this.table.record(slot);
    const at = this.table.field(slot);
    sink.number(this.sum(slot));
    sink.number(record[at + FIRST_MS]!);
    sink.number(record[at + LAST_MS]!);
    for (let age = 0; age < DECAY_BUCKETS; age++) sink.number(this.exact(slot, age, this.cells.low(slot, age)));
    this.list(slot);
    this.describeRing(this.listed.minutes, sink);
    this.describeRing(this.listed.hours, sink);
  }

  /** The content of a ring. */
  values(slot: number, ring: RingKind): BucketValues {
    this.list(slot);
    return this.listed[ring].values();
  }

  sum(slot: number): number | bigint {
    return this.exact(slot, SUM_CARRY, this.table.record(slot)[this.table.field(slot) + SUM]!);
  }

  /** With its carry, which in the common case no pair of the signal has. */
  private exact(slot: number, carry: number, low: number): number | bigint {
    return this.carries.any ? exact(low, this.carries.get(slot * CARRIES + carry), LIMB) : low;
  }

  private describeRing(ring: RingBuckets, sink: Pick<ValueSink, 'number'>): void {
    const { count, buckets } = ring;
    sink.number(count);
    for (let index = 0; index < count; index++) {
      sink.number(buckets[index]!);
      sink.number(ring.sum(index));
    }
  }

  private list(slot: number): void {
    const record = this.table.record(slot);
    const at = this.table.field(slot);
    const newest = Math.floor(record[at + LAST_MS]! / MINUTE_MS);
    const reference = this.table.links(slot)[this.table.link(slot) + RINGS]!;
    const { minutes, hours } = this.listed;
    let rest: number | bigint;
    if (reference === 0) {
      minutes.count = 0;
      hours.count = 0;
      rest = this.sum(slot);
    } else {
      this.rings.list(reference, newest, this.listed);
      rest = this.rings.pending(reference, record[at + SUM]!);
    }
    minutes.addNewest(newest, rest);
    hours.addNewest(hourOf(newest), rest);
  }
}
