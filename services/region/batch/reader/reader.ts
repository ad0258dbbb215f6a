/** Reads the values of a batch from its bytes, and reports what is wrong with bytes that are not a batch. */
import { Fault } from '../../../../shared/errors/errors.ts';
import { floatsOf } from '../../../../shared/kernel/floats.ts';

const TWO_28 = 268_435_456;

/** The bytes are not a batch, or not the batch they claim to be. */
export class DamagedBatch extends Fault {
  constructor(message: string) {
    super('damaged_batch', message);
  }
}

/** The checksum is right, so these bytes were written: a batch with contents that are not allowed. */
export class InvalidBatch extends DamagedBatch {
  /** Sequences of the events that cannot be read or applied, if they are known. */
  readonly events: { readonly first: number; readonly last: number } | undefined;

  constructor(message: string, events?: { readonly first: number; readonly last: number }) {
    super(message);
    this.events = events;
  }
}

/** The offset of the next value is unknown: nothing behind it can be read. */
export class UnreadableBatch extends InvalidBatch {}

/** A batch of a later version of this program. */
export class UnknownFormat extends Fault {
  constructor(message: string) {
    super('unknown_format', message);
  }
}

export class Reader {
  private readonly buffer: Buffer;
  offset: number;
  private readonly end: number;

  constructor(buffer: Buffer, offset: number, end: number) {
    this.buffer = buffer;
    this.offset = offset;
    this.end = end;
  }

  byte(): number {
    if (this.offset >= this.end) throw new UnreadableBatch('the batch ends within a value');
    return this.buffer[this.offset++]!;
  }

  varint(): number {
    let byte = this.byte();
    if (byte < 0x80) return byte;
    let low = byte & 0x7f;
    for (let shift = 7; shift < 28; shift += 7) {
      byte = this.byte();
      low |= (byte & 0x7f) << shift;
      if (byte < 0x80) return low;
    }
    let high = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      byte = this.byte();
      high |= (byte & 0x7f) << shift;
      if (byte >= 0x80) continue;
      const value = high * TWO_28 + low;
      if (!Number.isSafeInteger(value)) break;
      return value;
    }
    throw new UnreadableBatch('a number of the batch is out of range');
  }

  slice(length: number): Buffer {
    if (this.offset + length > this.end) throw new UnreadableBatch('the batch ends within a value');
    const slice = this.buffer.subarray(this.offset, this.offset + length);
    this.offset += length;
    return slice;
  }

  floats(count: number): Float32Array {
    return floatsOf(this.slice(count * 4));
  }

  get done(): boolean {
    return this.offset === this.end;
  }
}
