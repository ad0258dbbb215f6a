/** Reads the values of a batch from its bytes, and reports what is wrong with bytes that are not a batch. */
import { Fault } from '../../../../shared/errors/errors.ts';
import { floatsOf } from '../../../../shared/kernel/floats.ts';
import { VarintReader } from '../../../../shared/kernel/varints.ts';

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

/** Reads bytes that may be anything: what it returns was all there, and in range. */
export class Reader extends VarintReader {
  private readonly buffer: Buffer;

  constructor(buffer: Buffer, offset: number) {
    super(buffer, offset);
    this.buffer = buffer;
  }

  override byte(): number {
    if (this.done) throw pastEnd();
    return super.byte();
  }

  override varint(): number {
    const value = super.varint();
    if (this.position > this.buffer.length) throw pastEnd();
    if (!Number.isSafeInteger(value)) throw new UnreadableBatch('a number of the batch is out of range');
    return value;
  }

  slice(length: number): Buffer {
    const start = this.position;
    this.position += length;
    if (this.position > this.buffer.length) throw pastEnd();
    return this.buffer.subarray(start, this.position);
  }

  floats(count: number): Float32Array {
    return floatsOf(this.slice(count * 4));
  }

  get done(): boolean {
    return this.position === this.buffer.length;
  }
}

function pastEnd(): UnreadableBatch {
  return new UnreadableBatch('the batch ends within a value');
}
