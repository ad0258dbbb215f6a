/**
 * One ledger shard as bytes, little-endian; varint = LEB128 of a non-negative integer below 2^53:
 *
 *     0  u8   format version            4  u32  CRC-32 of everything else
 *     1  u8   shard                     8  varint signals, each: u8 length + name · varint pairs; then their pairs
 *     2  u16  reserved, 0
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

const FORMAT_VERSION = 1;
const HEADER_BYTES = 8;
const CRC_AT = 4;
const TWO_28 = 268_435_456;

export class ShardWriter {
  private buffer: Buffer;
  private at = HEADER_BYTES;

  constructor(shard: number, capacity: number) {
    this.buffer = Buffer.allocUnsafe(Math.max(capacity, 1_024));
    this.buffer.fill(0, 0, HEADER_BYTES);
    this.buffer[0] = FORMAT_VERSION;
    this.buffer[1] = shard;
  }

  /** Room for `bytes` more: asked for once a pair, so that single values need not look. */
  room(bytes: number): void {
    if (this.at + bytes <= this.buffer.length) return;
    const grown = Buffer.allocUnsafe(Math.max(this.buffer.length * 2, this.at + bytes));
    this.buffer.copy(grown, 0, 0, this.at);
    this.buffer = grown;
  }

  byte(value: number): void {
    this.buffer[this.at++] = value;
  }

  varint(value: number): void {
    if (value < TWO_28) {
      this.small(value);
      return;
    }
    const high = Math.floor(value / TWO_28);
    let low = value - high * TWO_28;
    for (let group = 0; group < 4; group++) {
      this.buffer[this.at++] = (low & 0x7f) | 0x80;
      low >>>= 7;
    }
    this.small(high);
  }

  private small(value: number): void {
    let bits = value;
    while (bits >= 0x80) {
      this.buffer[this.at++] = (bits & 0x7f) | 0x80;
      bits >>>= 7;
    }
    this.buffer[this.at++] = bits;
  }

  name(value: string): void {
    this.room(1 + 4 * value.length);
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

export class ShardReader {
  private readonly bytes: Buffer;
  private at = HEADER_BYTES;

  /** Throws `Fault('damaged_checkpoint')` for what no {@link ShardWriter} made of this shard. */
  constructor(shard: number, source: Uint8Array) {
    const bytes = Buffer.from(source.buffer, source.byteOffset, source.length);
    if (bytes.length <= HEADER_BYTES || bytes.readUInt32LE(CRC_AT) !== checksum(bytes)) {
      throw damaged(shard, 'its checksum does not hold');
    }
    if (bytes[0] !== FORMAT_VERSION) throw damaged(shard, `its format is ${bytes[0]}, not ${FORMAT_VERSION}`);
    if (bytes[1] !== shard) throw damaged(shard, `it is the shard ${bytes[1]}`);
    this.bytes = bytes;
  }

  byte(): number {
    return this.bytes[this.at++]!;
  }

  varint(): number {
    let low = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const group = this.bytes[this.at++]!;
      low |= (group & 0x7f) << shift;
      if (group < 0x80) return low;
    }
    let high = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const group = this.bytes[this.at++]!;
      high |= (group & 0x7f) << shift;
      if (group < 0x80) break;
    }
    return high * TWO_28 + low;
  }

  name(): string {
    const length = this.byte();
    const name = this.bytes.toString('utf8', this.at, this.at + length);
    this.at += length;
    return name;
  }

  /** What a checksum vouches for was written by this program: anything left over or missing is its mistake. */
  end(): void {
    assert(this.at === this.bytes.length, 'a shard is read to its end', () => ({
      at: this.at,
      length: this.bytes.length,
    }));
  }
}

export function damaged(shard: number, why: string): Fault {
  return new Fault('damaged_checkpoint', `the stored ledger shard ${shard} cannot be used: ${why}`);
}

function checksum(bytes: Buffer): number {
  return crc32(bytes.subarray(HEADER_BYTES), crc32(bytes.subarray(0, CRC_AT)));
}
