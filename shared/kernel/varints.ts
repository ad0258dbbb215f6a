/**
 * LEB128 varints of non-negative integers below 2^53, to and from bytes in memory. A writer throws `BrokenInvariant` for
 * anything else: what is written can be read back.
 */
import { BrokenInvariant } from './kernel.ts';

const TWO_28 = 268_435_456;

/** Throws where a varint cannot hold the value. */
export function requireVarint(value: number): void {
  if (Number.isSafeInteger(value) && value >= 0) return;
  throw new BrokenInvariant(`a varint holds an integer from 0 to 2^53 - 1, not ${value}`);
}

export class VarintWriter {
  protected buffer: Buffer;
  protected at: number;

  constructor(capacity: number, start = 0) {
    this.buffer = Buffer.allocUnsafe(Math.max(capacity, 1_024));
    this.at = start;
  }

  /** Room for `bytes` more: asked for once a pair, so that single values need not look. */
  reserve(bytes: number): void {
    if (this.at + bytes <= this.buffer.length) return;
    const grown = Buffer.allocUnsafe(Math.max(this.buffer.length * 2, this.at + bytes));
    this.buffer.copy(grown, 0, 0, this.at);
    this.buffer = grown;
  }

  byte(value: number): void {
    this.buffer[this.at++] = value;
  }

  bytes(values: Uint8Array): void {
    this.buffer.set(values, this.at);
    this.at += values.length;
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

  /** What was written since the last call; valid until the next write. */
  drain(): Uint8Array {
    const written = this.buffer.subarray(0, this.at);
    this.at = 0;
    return written;
  }
}

export class VarintReader {
  protected source: Uint8Array;
  protected at: number;

  constructor(source: Uint8Array = new Uint8Array(0), at = 0) {
    this.source = source;
    this.at = at;
  }

  /** Goes on reading elsewhere. */
  seek(source: Uint8Array, at: number): void {
    this.source = source;
    this.at = at;
  }

  get position(): number {
    return this.at;
  }

  /** The bytes from `start` to here. */
  since(start: number): Uint8Array {
    return this.source.subarray(start, this.at);
  }

  byte(): number {
    return this.source[this.at++]!;
  }

  varint(): number {
    const { source } = this;
    let low = source[this.at++]!;
    if (low < 0x80) return low;
    low &= 0x7f;
    for (let shift = 7; shift < 28; shift += 7) {
      const group = source[this.at++]!;
      low |= (group & 0x7f) << shift;
      if (group < 0x80) return low;
    }
    let high = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const group = source[this.at++]!;
      high |= (group & 0x7f) << shift;
      if (group < 0x80) break;
    }
    return high * TWO_28 + low;
  }
}
