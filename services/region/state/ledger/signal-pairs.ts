/**
 * The pairs of one signal: applies events to their records, decay buckets and rings, and reads them.
 *
 * A pair's newest minute, hour and decay bucket are those of its latest event time, so the record holds only that. In the common
 * case (a known pair, the newest decay bucket, the newest minute) an event writes a few words of the record in place and nothing
 * else: its rings follow when the minute is over (`rings.ts`). Nothing is allocated.
 */
import { assert } from '../../../../shared/kernel/kernel.ts';
import { WEIGHT_SCALE } from '../../../../shared/protocol/events.ts';
import { byWindow, type Window } from '../../schema/schema.ts';
import type { ValueSink } from '../digest/digest.ts';
import type { Entities } from '../entities/entities.ts';
import { Carries } from './carries.ts';
import { DECAY_BUCKETS, type Decay, sortKey } from './decay/decay.ts';
import type { PairBound, SignalReading } from './ledger.ts';
import { LONG_PAST_MS, placedUpTo } from './long-past.ts';
import { CARRIES, PairDecay, SUM_CARRY } from './pair-decay.ts';
import { COUNT, DECAY_BUCKET, FIRST_MS, LAST_MS, PairTable, RINGS, SUM } from './pair-table.ts';
import { PairValues } from './pair-values.ts';
import type { TimedPairs } from './past/past.ts';
import { Rings } from './rings.ts';
import {
  HAS_CARRIES,
  HAS_DENSE,
  HAS_OLDER,
  HAS_SPARSE,
  LIMB,
  type ShardReader,
  type ShardWriter,
} from './shards/shards.ts';
import type { BucketValues, RingKind } from './spans/spans.ts';
import { DAY_HOURS_KEPT, HOURS_KEPT, hourOf, MINUTE_MS, MINUTES_KEPT, windowSpans } from './spans/spans.ts';

const COUNT_CARRY = DECAY_BUCKETS + 1;
/** Carries that are written to a shard: those of the decay buckets and of the sum. */
const WRITTEN_CARRIES = DECAY_BUCKETS + 1;
const COUNT_LIMB = 4_294_967_296;
/** Rings packed in one go: a few milliseconds. */
const PACK_LIMIT = 1_000;

/** Maximum bytes of a pair: both dense rings full of wide sums, and the rest. */
const PAIR_LIMIT_BYTES = (MINUTES_KEPT + HOURS_KEPT) * 18 + 256;

export class SignalPairs implements TimedPairs {
  readonly table: PairTable;
  readonly decay: Decay;
  private readonly rings = new Rings();
  private readonly carries = new Carries();
  private readonly cells: PairDecay;
  private readonly stored: PairValues;
  /** The minute of the event put last, and its first millisecond. */
  private minute = 0;
  private minuteMs = 0;

  constructor({ decay, entities }: { decay: Decay; entities: Entities }) {
    this.decay = decay;
    this.table = new PairTable(entities);
    const { table, carries, rings } = this;
    this.cells = new PairDecay({ decay, table, carries });
    this.stored = new PairValues({ table, carries, rings, cells: this.cells });
  }

  /** Adds an event that counts 1; or notes only the time of one: weight and `counted` 0. Returns the slot. */
  put(entity: number, weight: number, timeMs: number, counted: 0 | 1): number {
    if (timeMs < this.minuteMs || timeMs >= this.minuteMs + MINUTE_MS) {
      this.minute = Math.floor(timeMs / MINUTE_MS);
      this.minuteMs = this.minute * MINUTE_MS;
    }
    const slot = this.table.find(entity);
    if (slot < 0) return this.open(entity, weight, timeMs, counted);
    const record = this.table.record(slot);
    const at = this.table.field(slot);
    const lastMs = record[at + LAST_MS]!;
    this.cells.add(slot, weight, timeMs);
    const sum = record[at + SUM]! + weight;
    const links = this.table.links(slot);
    const link = this.table.link(slot);
    const reference = links[link + RINGS]!;
    const count = (links[link + COUNT]! >>> 0) + counted;
    if (count < COUNT_LIMB) links[link + COUNT] = count;
    else this.addCount(slot, counted);
    if (sum >= LIMB || lastMs >= this.minuteMs + MINUTE_MS || this.rings.isPacked(reference)) {
      this.addToRings(slot, weight, Math.floor(lastMs / MINUTE_MS));
    } else {
      if (lastMs < this.minuteMs) this.roll(slot, reference, Math.floor(lastMs / MINUTE_MS));
      record[at + SUM] = sum;
    }
    if (timeMs > lastMs) record[at + LAST_MS] = timeMs;
    else if (timeMs < record[at + FIRST_MS]!) record[at + FIRST_MS] = timeMs;
    return slot;
  }

  private open(entity: number, weight: number, timeMs: number, counted: 0 | 1): number {
    const slot = this.table.add(entity);
    const record = this.table.record(slot);
    const at = this.table.field(slot);
    record[at + SUM] = weight;
    record[at + FIRST_MS] = timeMs;
    record[at + LAST_MS] = timeMs;
    record[at + DECAY_BUCKET] = this.decay.contribution(weight, timeMs, this.decay.bucketOf(timeMs));
    this.addCount(slot, counted);
    return slot;
  }

  /** Subtracts what `put` of the same event added and no newer one has cleared since. Returns the slot. */
  retract(entity: number, weight: number, timeMs: number): number {
    const slot = this.table.find(entity);
    assert(slot >= 0, 'only what was added is retracted', () => ({ entity }));
    const record = this.table.record(slot);
    const at = this.table.field(slot);
    assert(this.count(slot) > 0, 'only what counts is retracted', () => ({ entity }));
    this.addCount(slot, -1);
    const lastMs = record[at + LAST_MS]!;
    const newest = Math.floor(lastMs / MINUTE_MS);
    let reference = this.settle(slot, newest);
    const sum = record[at + SUM]! - weight;
    record[at + SUM] = sum < 0 ? sum + LIMB : sum;
    if (sum < 0) this.carries.take(slot * CARRIES + SUM_CARRY, 1);
    if (reference !== 0) {
      reference = this.rings.retract(reference, Math.floor(timeMs / MINUTE_MS), newest, weight);
      if (!this.rings.isPacked(reference)) this.rings.flush(reference, record[at + SUM]!);
      this.setRings(slot, reference);
    }
    this.cells.retract(slot, weight, timeMs, lastMs);
    return slot;
  }

  /** See `Ledger.withoutFuture`. False if the pair has no event after `upToMs`, and nothing changed. */
  withoutFuture(slot: number, upToMs: number): boolean {
    const record = this.table.record(slot);
    const at = this.table.field(slot);
    if (record[at + LAST_MS]! <= upToMs) return false;
    const firstMs = record[at + FIRST_MS]!;
    let uncounted = this.count(slot);
    const values = {
      all: this.stored.sum(slot),
      minutes: this.values(slot, 'minutes'),
      hours: this.values(slot, 'hours'),
    };
    this.clear(slot, upToMs - LONG_PAST_MS);
    for (const { weight, timeMs } of placedUpTo(values, upToMs)) {
      this.put(this.table.entity(slot), weight, timeMs, uncounted > 0 ? 1 : 0);
      uncounted--;
    }
    for (; uncounted > 0; uncounted--) this.addCount(slot, 1);
    record[at + FIRST_MS] = Math.min(firstMs, record[at + FIRST_MS]!);
    return true;
  }

  /** Resets it to a pair with one event of weight 0 at `timeMs`. */
  private clear(slot: number, timeMs: number): void {
    const record = this.table.record(slot);
    const at = this.table.field(slot);
    for (let key = 0; key < CARRIES; key++) this.carries.set(slot * CARRIES + key, 0);
    for (let age = 0; age < DECAY_BUCKETS; age++) this.cells.setLow(slot, age, 0);
    record[at + SUM] = 0;
    record[at + FIRST_MS] = timeMs;
    record[at + LAST_MS] = timeMs;
    this.table.links(slot)[this.table.link(slot) + COUNT] = 0;
    this.setRings(slot, 0);
  }

  count(slot: number): number {
    const low = this.table.links(slot)[this.table.link(slot) + COUNT]! >>> 0;
    return this.carries.any ? this.carries.get(slot * CARRIES + COUNT_CARRY) * COUNT_LIMB + low : low;
  }

  private addCount(slot: number, step: -1 | 0 | 1): void {
    const links = this.table.links(slot);
    const at = this.table.link(slot) + COUNT;
    const low = (links[at]! >>> 0) + step;
    if (low === COUNT_LIMB) this.carries.add(slot * CARRIES + COUNT_CARRY, 1);
    if (low < 0) this.carries.take(slot * CARRIES + COUNT_CARRY, 1);
    links[at] = low | 0;
  }

  /** Upper bounds of the pair for every read time from its latest event on, and a little before. */
  upperBound(slot: number, upperBound: PairBound, withDecay: boolean): void {
    const all = this.all(slot);
    const reference = this.ringsOf(slot);
    if (reference === 0) {
      upperBound.minutes = all;
      upperBound.day = all;
      upperBound.hours = all;
    } else {
      this.rings.totals(reference, this.newestMinute(slot), upperBound);
      const pending = this.pending(slot, reference);
      upperBound.minutes += pending;
      upperBound.day += pending;
      upperBound.hours += pending;
    }
    upperBound.all = all;
    upperBound.decayKey = withDecay ? this.decayKey(slot) : Number.NEGATIVE_INFINITY;
  }

  /** The same for every read time from `fromMs` on, and a little before; false if there is no such pair. */
  upperBoundFrom(entity: number, fromMs: number, upperBound: PairBound, withDecay: boolean): boolean {
    const slot = this.table.find(entity);
    if (slot < 0) return false;
    const minute = Math.floor(fromMs / MINUTE_MS);
    const hour = hourOf(minute);
    upperBound.minutes = this.sumAfter(slot, 'minutes', minute - MINUTES_KEPT);
    upperBound.day = this.sumAfter(slot, 'hours', hour - DAY_HOURS_KEPT);
    upperBound.hours = this.sumAfter(slot, 'hours', hour - HOURS_KEPT);
    upperBound.all = this.all(slot);
    upperBound.decayKey = withDecay ? this.decayKey(slot) : Number.NEGATIVE_INFINITY;
    return true;
  }

  /** Σ of the ring's buckets above `above`, thousandths. */
  sumAfter(slot: number, ring: RingKind, above: number): number {
    const newestMinute = this.newestMinute(slot);
    const newest = ring === 'minutes' ? newestMinute : hourOf(newestMinute);
    const kept = ring === 'minutes' ? MINUTES_KEPT : HOURS_KEPT;
    if (above >= newest) return 0;
    const reference = this.ringsOf(slot);
    if (reference === 0) return this.all(slot);
    const pending = this.pending(slot, reference);
    return this.rings.sum(reference, newestMinute, ring, Math.max(above, newest - kept), newest, pending);
  }

  private decayKey(slot: number): number {
    return sortKey(this.cells.newest(slot), this.cells.sum(slot));
  }

  /**
   * Dense rings of pairs without an event since `beforeMs` are packed, of up to `limit` slots from `from` on, a thousand at most;
   * returns where to continue, 0 at the end. No read changes.
   */
  pack(from: number, limit: number, beforeMs: number): number {
    const end = Math.min(this.table.size, from + limit);
    let slot = from;
    for (let packed = 0; slot < end && packed < PACK_LIMIT; slot++) {
      const before = this.ringsOf(slot);
      if (before >= 0 || this.rings.isPacked(before) || this.lastMs(slot) >= beforeMs) continue;
      const newest = this.newestMinute(slot);
      const after = this.rings.pack(this.settle(slot, newest), newest);
      this.setRings(slot, after);
      if (this.rings.isPacked(after)) packed++;
    }
    return slot === this.table.size ? 0 : slot;
  }

  find(entity: number): number {
    return this.table.find(entity);
  }

  firstMs(slot: number): number {
    return this.table.record(slot)[this.table.field(slot) + FIRST_MS]!;
  }

  lastMs(slot: number): number {
    return this.table.record(slot)[this.table.field(slot) + LAST_MS]!;
  }

  newestMinute(slot: number): number {
    return Math.floor(this.lastMs(slot) / MINUTE_MS);
  }

  /** One window's sum, weights. */
  sum(entity: number, window: Window, atMs: number): number {
    const slot = this.table.find(entity);
    return slot < 0 ? 0 : this.windowSum(slot, window, atMs);
  }

  decayed(entity: number, atMs: number): number {
    const slot = this.table.find(entity);
    return slot < 0 ? 0 : this.score(slot, atMs);
  }

  score(slot: number, atMs: number): number {
    return this.decay.score(this.cells.newest(slot), this.cells.sum(slot), atMs);
  }

  read(entity: number, atMs: number): SignalReading | undefined {
    const slot = this.table.find(entity);
    if (slot < 0) return undefined;
    return {
      sums: byWindow((window) => this.windowSum(slot, window, atMs)),
      count: this.count(slot),
      decayed: this.score(slot, atMs),
      firstMs: this.firstMs(slot),
      lastMs: this.lastMs(slot),
    };
  }

  /** Every stored value: count, then the rest as `pair-values.ts` has it. */
  describe(slot: number, sink: Pick<ValueSink, 'number'>): void {
    sink.number(this.count(slot));
    this.stored.describe(slot, sink);
  }

  /** Writes the existing pair of an entity; `step` is the difference to the previous entity. */
  encode(entity: number, step: number, writer: ShardWriter): void {
    const slot = this.table.find(entity);
    const record = this.table.record(slot);
    const at = this.table.field(slot);
    const lastMs = record[at + LAST_MS]!;
    const reference = this.settle(slot, Math.floor(lastMs / MINUTE_MS));
    const older = this.cells.hasOlder(slot);
    const carried = this.carries.any && this.hasCarries(slot);
    const form = reference === 0 ? 0 : reference > 0 ? HAS_SPARSE : HAS_DENSE;
    writer.reserve(PAIR_LIMIT_BYTES);
    writer.varint(step);
    writer.byte((older ? HAS_OLDER : 0) | (carried ? HAS_CARRIES : 0) | form);
    writer.varint(this.count(slot));
    writer.varint(record[at + SUM]!);
    writer.varint(lastMs);
    writer.varint(lastMs - record[at + FIRST_MS]!);
    writer.varint(record[at + DECAY_BUCKET]!);
    if (older) for (let age = 1; age < DECAY_BUCKETS; age++) writer.varint(this.cells.low(slot, age));
    if (carried) for (let key = 0; key < WRITTEN_CARRIES; key++) writer.varint(this.carries.get(slot * CARRIES + key));
    if (reference !== 0) this.rings.write(reference, Math.floor(lastMs / MINUTE_MS), writer);
  }

  /** Creates a pair from the bytes that `encode` wrote after its step. Returns the slot. */
  decode(entity: number, reader: ShardReader): number {
    const slot = this.table.add(entity);
    const record = this.table.record(slot);
    const at = this.table.field(slot);
    const parts = reader.byte();
    const count = reader.varint();
    this.table.links(slot)[this.table.link(slot) + COUNT] = count | 0;
    if (count >= COUNT_LIMB) this.carries.set(slot * CARRIES + COUNT_CARRY, Math.floor(count / COUNT_LIMB));
    record[at + SUM] = reader.varint();
    const lastMs = reader.varint();
    record[at + LAST_MS] = lastMs;
    record[at + FIRST_MS] = lastMs - reader.varint();
    record[at + DECAY_BUCKET] = reader.varint();
    if ((parts & HAS_OLDER) !== 0)
      for (let age = 1; age < DECAY_BUCKETS; age++) this.cells.setLow(slot, age, reader.varint());
    if ((parts & HAS_CARRIES) !== 0) {
      for (let key = 0; key < WRITTEN_CARRIES; key++) this.carries.set(slot * CARRIES + key, reader.varint());
    }
    if ((parts & (HAS_SPARSE | HAS_DENSE)) === 0) return slot;
    const form = (parts & HAS_DENSE) === 0 ? 'sparse' : 'dense';
    this.setRings(slot, this.rings.read(form, Math.floor(lastMs / MINUTE_MS), record[at + SUM]!, reader));
    return slot;
  }

  private hasCarries(slot: number): boolean {
    for (let key = 0; key < WRITTEN_CARRIES; key++) if (this.carries.get(slot * CARRIES + key) !== 0) return true;
    return false;
  }

  /** {@link minute} is later than all events of the pair; its rings are not packed. */
  private roll(slot: number, reference: number, newest: number): void {
    const opened = reference === 0 ? this.openRings(slot, newest) : reference;
    const sum = this.table.record(slot)[this.table.field(slot) + SUM]!;
    this.setRings(slot, this.rings.roll(opened, newest, this.minute, sum));
  }

  /**
   * Adds an event that cannot stay pending: a late one, one that makes the sum carry, or one of a pair whose rings are packed.
   * Adds to the sum, and at {@link minute} to the rings, which a pair with all its events in one minute does not have.
   */
  private addToRings(slot: number, weight: number, newest: number): void {
    const record = this.table.record(slot);
    const at = this.table.field(slot) + SUM;
    let reference = this.settle(slot, newest);
    if (reference === 0 && this.minute !== newest) reference = this.openRings(slot, newest);
    if (reference !== 0) reference = this.rings.add(reference, this.minute, newest, weight);
    const sum = record[at]! + weight;
    record[at] = sum < LIMB ? sum : sum - LIMB;
    if (sum >= LIMB) this.carries.add(slot * CARRIES + SUM_CARRY, 1);
    if (reference === 0) return;
    this.rings.flush(reference, record[at]!);
    this.setRings(slot, reference);
  }

  /** New rings that have the whole sum at the newest minute. */
  private openRings(slot: number, newest: number): number {
    const low = this.table.record(slot)[this.table.field(slot) + SUM]!;
    let reference = this.rings.add(this.rings.open(), newest, newest, low);
    for (let carry = this.carries.get(slot * CARRIES + SUM_CARRY); carry > 0; carry--) {
      reference = this.rings.add(reference, newest, newest, LIMB);
    }
    this.rings.flush(reference, low);
    return reference;
  }

  /** Flushes the pending part into the rings. Returns them. */
  private settle(slot: number, newest: number): number {
    const before = this.ringsOf(slot);
    const pending = before === 0 ? 0 : this.pending(slot, before);
    if (pending === 0) return before;
    const reference = this.rings.add(before, newest, newest, pending);
    this.rings.flush(reference, this.table.record(slot)[this.table.field(slot) + SUM]!);
    this.setRings(slot, reference);
    return reference;
  }

  /** The pending part: the share of the sum, in the newest minute, that is not in the pair's rings yet. */
  private pending(slot: number, reference: number): number {
    return this.rings.pending(reference, this.table.record(slot)[this.table.field(slot) + SUM]!);
  }

  private ringsOf(slot: number): number {
    return this.table.links(slot)[this.table.link(slot) + RINGS]!;
  }

  private setRings(slot: number, reference: number): void {
    this.table.links(slot)[this.table.link(slot) + RINGS] = reference;
  }

  /** The sum of everything, thousandths. */
  all(slot: number): number {
    const low = this.table.record(slot)[this.table.field(slot) + SUM]!;
    return this.carries.any ? this.carries.get(slot * CARRIES + SUM_CARRY) * LIMB + low : low;
  }

  private windowSum(slot: number, window: Window, atMs: number): number {
    if (window === 'all') return this.all(slot) / WEIGHT_SCALE;
    const { ring, count } = windowSpans[window];
    const newestMinute = this.newestMinute(slot);
    const nowMinute = Math.floor(atMs / MINUTE_MS);
    const newest = ring === 'minutes' ? newestMinute : hourOf(newestMinute);
    const now = ring === 'minutes' ? nowMinute : hourOf(nowMinute);
    const above = Math.max(now - count, newest - (ring === 'minutes' ? MINUTES_KEPT : HOURS_KEPT), -1);
    const upTo = Math.min(now, newest);
    if (upTo <= above) return 0;
    const reference = this.ringsOf(slot);
    if (reference === 0) return newest <= upTo ? this.all(slot) / WEIGHT_SCALE : 0;
    const pending = newest <= upTo ? this.pending(slot, reference) : 0;
    return this.rings.sum(reference, newestMinute, ring, above, upTo, pending) / WEIGHT_SCALE;
  }

  /** The content of a ring. */
  values(slot: number, ring: RingKind): BucketValues {
    return this.stored.values(slot, ring);
  }
}
