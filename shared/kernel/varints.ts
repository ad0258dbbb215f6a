/**
 * LEB128 varints of non-negative integers below 2^53, to and from bytes in memory. A writer throws `BrokenInvariant` for anything
 * else, so that everything written can be read back.
 */
import { BrokenInvariant } from './kernel.ts';

const TWO_28 = 268_435_456;

/** Throws if a varint cannot hold the value. */
function requireVarint(value: number): void {
  if (Number.isSafeInteger(value) && value >= 0) return;
  throw new BrokenInvariant(`a varint holds an integer from 0 to 2^53 - 1, not ${value}`);
}

export class VarintWriter {
  protected buffer: Buffer;
  /** Bytes written so far; setting it back discards what was written after it. */
  length: number;

  constructor(capacity: number, start = 0) {
    this.buffer = Buffer.allocUnsafe(capacity);
    this.length = start;
  }

  /** Reserves `bytes` more: called once a pair, so that single values need no check. */
  reserve(bytes: number): void {
    if (this.length + bytes <= this.buffer.length) return;
    const grown = Buffer.allocUnsafe(Math.max(this.buffer.length * 2, this.length + bytes));
    this.buffer.copy(grown, 0, 0, this.length);
    this.buffer = grown;
  }

  byte(value: number): void {
    this.buffer[this.length++] = value;
  }

  bytes(values: Uint8Array): void {
    this.buffer.set(values, this.length);
    this.length += values.length;
  }

  varint(value: number): void {
    if (value >>> 0 === value && value < TWO_28) {
      this.small(value);
      return;
    }
    requireVarint(value);
    const high = Math.floor(value / TWO_28);
    let low = value - high * TWO_28;
    for (let group = 0; group < 4; group++) {
      this.buffer[this.length++] = (low & 0x7f) | 0x80;
      low >>>= 7;
    }
    this.small(high);
  }

  private small(value: number): void {
    let bits = value;
    while (bits >= 0x80) {
      this.buffer[this.length++] = (bits & 0x7f) | 0x80;
      bits >>>= 7;
    }
    this.buffer[this.length++] = bits;
  }

  /** The bytes written since the last call; valid until the next write. */
  drain(): Buffer {
    const written = this.buffer.subarray(0, this.length);
    this.length = 0;
    return written;
  }
}

export class VarintReader {
  protected source: Uint8Array;
  /** Offset of the next value. */
  position: number;

  constructor(source: Uint8Array = new Uint8Array(0), position = 0) {
    this.source = source;
    this.position = position;
  }

  /** Continues reading elsewhere. */
  seek(source: Uint8Array, position: number): void {
    this.source = source;
    this.position = position;
  }

  /** The bytes from `start` to here. */
  since(start: number): Uint8Array {
    return this.source.subarray(start, this.position);
  }

  byte(): number {
    return this.source[this.position++]!;
  }

  /** For bytes that no writer wrote it may return a value that is not a safe integer. */
  varint(): number {
    const { source } = this;
    let low = source[this.position++]!;
    if (low < 0x80) return low;
    low &= 0x7f;
    for (let shift = 7; shift < 28; shift += 7) {
      const group = source[this.position++]!;
      low |= (group & 0x7f) << shift;
      if (group < 0x80) return low;
    }
    let high = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const group = source[this.position++]!;
      high |= (group & 0x7f) << shift;
      if (group < 0x80) return high * TWO_28 + low;
    }
    return Number.NaN;
  }
}
