/** Reads the values of a batch from its bytes, and reports what is wrong with bytes that are not a batch. */
import { crc32 } from 'node:zlib';
import { Fault } from '../../../../shared/errors/errors.ts';
import { floatsOf } from '../../../../shared/kernel/floats.ts';
import { VarintReader } from '../../../../shared/kernel/varints.ts';
import { BATCH_LIMIT_BYTES } from '../../../../shared/protocol/events.ts';

export const MAGIC = 0x4254;
export const HEADER_BYTES = 36;
export const CHAIN_BYTES = 16;

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

/** The bytes of a batch of any version. Throws `DamagedBatch` if its checksum, which covers what follows it, is wrong. */
export function checkedBytes(bytes: Uint8Array): Buffer {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view.length <= HEADER_BYTES || view.readUInt16LE(0) !== MAGIC) throw new DamagedBatch('not a batch');
  if (view.readUInt32LE(4) !== view.length) throw new DamagedBatch('the batch is not as long as it says');
  if (view.length > BATCH_LIMIT_BYTES) throw new DamagedBatch('the batch is larger than a batch may be');
  if (view.readUInt32LE(8) !== crc32(view.subarray(12))) throw new DamagedBatch('the checksum of the batch is wrong');
  return view;
}

/** The hash of the predecessor in a batch of any version. Throws `DamagedBatch` only: what the checksum covers was written so. */
export function predecessorHash(bytes: Uint8Array): Uint8Array {
  return checkedBytes(bytes).subarray(12, 12 + CHAIN_BYTES);
}
