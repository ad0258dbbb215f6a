/**
 * Checking a shard's bytes before a ledger is filled with them. `load` trusts what carries a right checksum; bytes of a
 * snapshot or a backup carry one whatever they hold. Everything is checked that applying and reading go by: names, counts,
 * times, the order and range of buckets, and that no window sums to more than there was.
 *
 * A function of the bytes alone: no ledger is made, and no more memory is taken than a name of a signal takes.
 */
import { clip, isCount, THOUSANDTHS_LIMIT, TIME_LIMIT_MS } from '../../../../shared/protocol/events.ts';
import { DECAY_BUCKETS } from './decay/decay.ts';
import { LIMB } from './pair-decay.ts';
import { shardOf } from './pair-table.ts';
import { damaged, ShardReader } from './shard-codec.ts';
import { HAS_CARRIES, HAS_DENSE, HAS_OLDER, HAS_SPARSE } from './signal-pairs.ts';
import { HOURS_KEPT, hourOf, MINUTE_MS, MINUTES_KEPT } from './spans/spans.ts';
import { ENTRIES as SPARSE_ENTRIES } from './sparse-rings.ts';

/** Sums of one bucket that need no second limb. */
const BUCKET_LIMB = 2 ** 32;

/**
 * Throws `Fault('damaged_checkpoint')` that says what is wrong, and of which pair. `events`: how many the log ever had, which is
 * more than any pair counts.
 */
export function checkShard(
  shard: number,
  bytes: Uint8Array,
  { hasSignal, events }: { readonly hasSignal: (name: string) => boolean; readonly events: number },
): void {
  const reader = new StrictReader(shard, bytes);
  const counts = new Map<string, number>();
  for (let left = reader.varint(); left > 0; left--) {
    const name = reader.name();
    if (!hasSignal(name)) throw damaged(shard, `the schema has no signal ${JSON.stringify(clip(name))}`);
    if (counts.has(name)) throw damaged(shard, `it has the signal ${name} twice`);
    counts.set(name, reader.varint());
  }
  for (const [name, count] of counts) {
    let entity = 0;
    for (let pair = 0; pair < count; pair++) {
      const step = reader.varint();
      entity += step;
      const isHere = isCount(entity) && shardOf(entity) === shard && (step > 0 || pair === 0);
      const flaw = isHere ? pairFlaw(reader, events) : 'it has no place there';
      if (flaw !== undefined) throw damaged(shard, `${name} of the item ${entity}: ${flaw}`);
    }
  }
  if (!reader.done) throw damaged(shard, 'it is longer than its pairs');
}

class StrictReader extends ShardReader {
  private readonly shard: number;

  constructor(shard: number, bytes: Uint8Array) {
    super(shard, bytes);
    this.shard = shard;
  }

  get done(): boolean {
    return this.at === this.source.length;
  }

  override byte(): number {
    return this.within(super.byte());
  }

  override varint(): number {
    return this.within(super.varint());
  }

  private within(value: number): number {
    if (this.at > this.source.length) throw damaged(this.shard, 'it ends within a value');
    if (!isCount(value)) throw damaged(this.shard, 'a number in it is out of range');
    return value;
  }
}

/** Reads one pair, after its step. */
function pairFlaw(reader: StrictReader, events: number): string | undefined {
  const parts = reader.byte();
  const rings = parts & (HAS_SPARSE | HAS_DENSE);
  if (parts > (HAS_OLDER | HAS_CARRIES | HAS_SPARSE | HAS_DENSE) || rings === (HAS_SPARSE | HAS_DENSE)) {
    return 'its form is none';
  }
  const count = reader.varint();
  if (count > events) return `it counts ${count} events, of ${events} there ever were`;
  const low = reader.varint();
  const lastMs = reader.varint();
  if (lastMs > TIME_LIMIT_MS) return 'its latest event lies beyond the year 2100';
  if (reader.varint() > lastMs) return 'its first event lies before 1970';
  const cells = [reader.varint()];
  if ((parts & HAS_OLDER) !== 0) for (let age = 1; age < DECAY_BUCKETS; age++) cells.push(reader.varint());
  const carries = [0, 0, 0, 0, 0];
  if ((parts & HAS_CARRIES) !== 0) for (let key = 0; key <= DECAY_BUCKETS; key++) carries[key] = reader.varint();
  if (low >= LIMB || cells.some((cell) => cell >= LIMB)) return 'a sum of it is out of range';
  // No event adds as much as a limb to anything.
  if (carries.some((carry) => carry > count)) return 'a sum of it is more than its events can have';
  const all = BigInt(carries[DECAY_BUCKETS]!) * BigInt(LIMB) + BigInt(low);
  if (all > BigInt(count) * BigInt(THOUSANDTHS_LIMIT)) return 'its sum is more than its events can have';
  if (rings === 0) return undefined;
  const newest = Math.floor(lastMs / MINUTE_MS);
  if (rings === HAS_SPARSE) return sparseFlaw(reader, newest, all);
  const minutes = ringSum(reader, Math.min(MINUTES_KEPT, newest + 1));
  const hours = ringSum(reader, Math.min(HOURS_KEPT, hourOf(newest) + 1));
  if (typeof minutes === 'string') return minutes;
  if (typeof hours === 'string') return hours;
  return minutes <= hours && hours <= all ? undefined : 'its buckets hold more than its sum';
}

/** Minutes ascending, so ages descending. */
function sparseFlaw(reader: StrictReader, newest: number, all: bigint): string | undefined {
  const entries = reader.varint();
  if (entries > SPARSE_ENTRIES) return `it has ${entries} minutes in a form for ${SPARSE_ENTRIES}`;
  const oldestHour = hourOf(newest) - HOURS_KEPT + 1;
  let younger = newest + 1;
  let sum = 0;
  for (let entry = 0; entry < entries; entry++) {
    const age = reader.varint();
    const value = reader.varint();
    if (age >= younger || hourOf(newest - age) < oldestHour) return `it has a bucket of ${age} minutes out of place`;
    if (value < 1 || value >= BUCKET_LIMB) return 'the sum of a bucket is out of range';
    younger = age;
    sum += value;
  }
  return BigInt(sum) <= all ? undefined : 'its buckets hold more than its sum';
}

/** Newest bucket first. Answers a ring's sum, or what is wrong with it. */
function ringSum(reader: StrictReader, kept: number): bigint | string {
  let left = reader.varint();
  if (left > kept) return `a ring of it has ${left} buckets, of at most ${kept}`;
  let next = 0;
  let sum = 0;
  let wide = 0n;
  for (; left > 0; left--) {
    const age = reader.varint();
    if (age < next || age >= kept) return `a ring of it has a bucket ${age} out of place`;
    next = age + 1;
    const marked = reader.varint();
    const value = Math.floor(marked / 2);
    const carry = marked % 2 === 0 ? 0 : reader.varint();
    if (value >= BUCKET_LIMB || (marked % 2 === 1 ? carry === 0 : value === 0)) {
      return 'the sum of a bucket is out of range';
    }
    sum += value;
    if (carry > 0) wide += BigInt(carry) * BigInt(BUCKET_LIMB);
  }
  return wide + BigInt(sum);
}
