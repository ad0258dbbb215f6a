/**
 * One ledger shard as bytes, little-endian; varint as in `varints.ts`:
 *
 *     0  u8   format version            4  u32  CRC-32 of everything else
 *     1  u8   shard                     8  varint signals, each: u8 length + name · varint pairs; then their pairs
 *     2  u16  hours that the rings keep; 0: 170, as before it was written
 *     per pair, entities ascending: varint entity − the one before · u8 what follows
 *       · varint count · sum · last ms · last − first ms · newest cell
 *       · older cells: 3 varints · carries: 5 varints, of the cells by age and of the sum
 *       · sparse rings: varint entries, each varint newest − minute · sum
 *       · dense rings: minutes, then hours: varint buckets, each varint newest − bucket · 2 low + wide, and if wide its carry
 *
 * Promise: reading restores every stored value and the form the rings are in, so that whatever is added later ends in the
 * same bits. Signals are named, never numbered; those without pairs are left out.
 */
import { crc32 } from 'node:zlib';
import { Fault } from '../../../../shared/errors/errors.ts';
import { assert } from '../../../../shared/kernel/kernel.ts';
import { VarintReader, VarintWriter } from '../../../../shared/kernel/varints.ts';
import { HOURS_KEPT } from './spans/spans.ts';

const FORMAT_VERSION = 1;
const HEADER_BYTES = 8;
const HOURS_AT = 2;
const CRC_AT = 4;
const UNWRITTEN_HOURS = 170;

export class ShardWriter extends VarintWriter {
  constructor(shard: number, capacity: number) {
    super(capacity, HEADER_BYTES);
    this.buffer.fill(0, 0, HEADER_BYTES);
    this.buffer[0] = FORMAT_VERSION;
    this.buffer[1] = shard;
    this.buffer.writeUInt16LE(HOURS_KEPT, HOURS_AT);
  }

  name(value: string): void {
    this.reserve(1 + 4 * value.length);
    const length = this.buffer.write(value, this.at + 1, 'utf8');
    assert(length < 256, 'a signal has a short name', () => value);
    this.buffer[this.at] = length;
    this.at += 1 + length;
  }

  /** The whole, sealed with its checksum. */
  take(): Uint8Array {
    const bytes = this.buffer.subarray(0, this.at);
    bytes.writeUInt32LE(checksum(bytes), CRC_AT);
    return bytes;
  }
}

export class ShardReader extends VarintReader {
  private readonly text: Buffer;

  /** Throws `Fault('damaged_checkpoint')` for what no {@link ShardWriter} made of this shard. */
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
    const name = this.text.toString('utf8', this.at, this.at + length);
    this.at += length;
    return name;
  }

  /** What a checksum vouches for was written by this program: anything left over or missing is its mistake. */
  end(): void {
    assert(this.at === this.text.length, 'a shard is read to its end', () => ({
      at: this.at,
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
