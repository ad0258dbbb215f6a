/**
 * One ledger shard as bytes, little-endian; varint as in `varints.ts`:
 *
 *     0  u8   format version            4  u32  CRC-32 of everything else
 *     1  u8   shard                     8  varint signals, each: u8 length + name · varint pairs; then their pairs
 *     2  u16  hours that the rings keep; 0: 170, as before it was written
 *     per pair, entities ascending: varint entity − the one before · u8 what follows
 *       · varint count · sum · last ms · last − first ms · newest decay bucket · older ones: 3 varints · carries: 5 varints, of the decay buckets by age and of the sum
 *       · sparse rings: varint entries, each varint newest − minute · sum
 *       · dense rings: minutes, then hours: varint buckets, each varint newest − bucket · 2 low + wide, and if wide its carry
 *
 * Promise: reading restores every stored value and the form the rings are in, so that later events result in the same bits.
 * Signals are named, never numbered; those without pairs are omitted.
 */
import { crc32 } from 'node:zlib';
import { clip, Fault } from '../../../../../shared/errors/errors.ts';
import { assert } from '../../../../../shared/kernel/kernel.ts';
import { VarintReader, VarintWriter } from '../../../../../shared/kernel/varints.ts';
import { isCount, THOUSANDTHS_LIMIT, TIME_LIMIT_MS } from '../../../../../shared/protocol/events.ts';
import { hashOf } from '../../entities/entities.ts';
import { DECAY_BUCKETS } from '../decay/decay.ts';
import { HOURS_KEPT, hourOf, MINUTE_MS, MINUTES_KEPT } from '../spans/spans.ts';

const FORMAT_VERSION = 1;
const HEADER_BYTES = 8;
const HOURS_AT = 2;
const CRC_AT = 4;
const UNWRITTEN_HOURS = 170;

/** The fields that follow a pair's fixed fields in a shard. */
export const HAS_OLDER = 1;
export const HAS_CARRIES = 2;
export const HAS_SPARSE = 4;
export const HAS_DENSE = 8;

/** Low limbs of sums and decay buckets stay below this; one more event on top of it is still exact in 53 bits. */
export const LIMB = 2 ** 52;
/** Maximum number of minutes in the sparse form of a pair's rings. */
export const SPARSE_ENTRIES = 6;

/** 0 … 255, from the bits of the hash that the hash table does not use: the same in every process and version. */
export function shardOf(entity: number): number {
  return hashOf(entity) >>> 24;
}

export class ShardWriter extends VarintWriter {
  constructor(shard: number, capacity: number) {
    super(HEADER_BYTES + capacity, HEADER_BYTES);
    this.buffer.fill(0, 0, HEADER_BYTES);
    this.buffer[0] = FORMAT_VERSION;
    this.buffer[1] = shard;
    this.buffer.writeUInt16LE(HOURS_KEPT, HOURS_AT);
  }

  name(value: string): void {
    this.reserve(1 + 4 * value.length);
    const length = this.buffer.write(value, this.length + 1, 'utf8');
    assert(length < 256, 'a signal has a short name', () => value);
    this.buffer[this.length] = length;
    this.length += 1 + length;
  }

  /** All bytes, with the checksum. */
  take(): Uint8Array {
    const bytes = this.buffer.subarray(0, this.length);
    bytes.writeUInt32LE(checksum(bytes), CRC_AT);
    return bytes;
  }
}

export class ShardReader extends VarintReader {
  private readonly text: Buffer;

  /** Throws `Fault('damaged_checkpoint')` for bytes that no {@link ShardWriter} produces for this shard. */
  constructor(shard: number, source: Uint8Array) {
    const bytes = Buffer.from(source.buffer, source.byteOffset, source.length);
    if (bytes.length <= HEADER_BYTES || bytes.readUInt32LE(CRC_AT) !== checksum(bytes)) {
      throw damaged(shard, 'its checksum does not hold');
    }
    if (bytes[0] !== FORMAT_VERSION) throw damaged(shard, `its format is ${bytes[0]}, not ${FORMAT_VERSION}`);
    if (bytes[1] !== shard) throw damaged(shard, `it is the shard ${bytes[1]}`);
    // A ring that was shorter lacks events that a longer window counts.
    const hours = bytes.readUInt16LE(HOURS_AT) || UNWRITTEN_HOURS;
    if (hours !== HOURS_KEPT) throw damaged(shard, `its rings keep ${hours} hours, not ${HOURS_KEPT}`);
    super(bytes, HEADER_BYTES);
    this.text = bytes;
  }

  name(): string {
    const length = this.byte();
    const name = this.text.toString('utf8', this.position, this.position + length);
    this.position += length;
    return name;
  }

  /** Bytes with a right checksum were written by this program: surplus or missing ones are a bug. */
  end(): void {
    assert(this.position === this.text.length, 'a shard is read to its end', () => ({
      at: this.position,
      length: this.text.length,
    }));
  }
}

export function damaged(shard: number, why: string): Fault {
  return new Fault('damaged_checkpoint', `the stored ledger shard ${shard} cannot be used: ${why}`);
}

function checksum(bytes: Buffer): number {
  return crc32(bytes.subarray(HEADER_BYTES), crc32(bytes.subarray(0, CRC_AT)));
}

/**
 * Checks a shard's bytes before a ledger is filled with them. `load` trusts bytes with a right checksum; bytes of a snapshot or a
 * backup have one whatever their contents. Everything that applying and reading depend on is checked: names, counts, times, the
 * order and range of buckets, and that no window exceeds the total.
 *
 * A function of the bytes alone: it creates no ledger, and allocates no more memory than the name of a signal.
 */

/** Sums of one bucket that need no second limb. */
const BUCKET_LIMB = 2 ** 32;

/**
 * Throws `Fault('damaged_checkpoint')` with the problem and the pair. `events`: number of events the log ever had, an upper bound
 * for the count of a pair.
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
    return this.position === this.source.length;
  }

  override byte(): number {
    return this.within(super.byte());
  }

  override varint(): number {
    return this.within(super.varint());
  }

  private within(value: number): number {
    if (this.position > this.source.length) throw damaged(this.shard, 'it ends within a value');
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
  // No event adds a full limb.
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

/** Newest bucket first. Returns a ring's sum, or what is wrong with it. */
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
