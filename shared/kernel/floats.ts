/** 32-bit floats as bytes, little-endian on every machine: the encoding of embeddings in logs, registers and requests. */
import { endianness } from 'node:os';

const isLittle = endianness() === 'LE';

/** Only for reading at once: if possible it is the floats' own memory. */
export function floatBytes(values: Float32Array): Buffer {
  const bytes = Buffer.from(values.buffer, values.byteOffset, values.byteLength);
  return isLittle ? bytes : Buffer.from(bytes).swap32();
}

/** A copy. Bytes after the last whole float are ignored. */
export function floatsOf(bytes: Uint8Array): Float32Array {
  const values = new Float32Array(bytes.length >>> 2);
  const copy = Buffer.from(values.buffer);
  copy.set(bytes.subarray(0, copy.length));
  if (!isLittle) copy.swap32();
  return values;
}
