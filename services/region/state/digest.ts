/**
 * The state digest: the sum modulo 2^128 of one hash per described value, so that two regions compare their state in 16
 * bytes whatever the order in which they describe it (docs/architecture.md, section 5).
 *
 * A hash is the first 128 bits of SHA-256 over a canonical encoding of (entity, parts): the entity as 64-bit float, the
 * number of parts, and each part with a tag for its type and its length where that varies. No two lists share bytes.
 */
import { hash } from 'node:crypto';

export type DigestPart = string | number | bigint | Uint8Array;

export interface Digest {
  /** Adds one value. Commutative; describing the same value twice counts twice. */
  add(entity: number, parts: readonly DigestPart[]): void;
  /** 32 hexadecimal digits. */
  hex(): string;
}

export function createDigest(): Digest {
  return new SummedDigest();
}

/** The digest of everything these describe, recounted. */
export function digestOf(
  ...described: readonly { describe(sink: (entity: number, parts: readonly DigestPart[]) => void): void }[]
): string {
  const sum = createDigest();
  for (const one of described) one.describe((entity, parts) => sum.add(entity, parts));
  return sum.hex();
}

/** What one value adds to the digest: 0 ≤ n < 2^128. */
export interface ValueHash {
  of(entity: number, parts: readonly DigestPart[]): bigint;
}

export function createValueHash(): ValueHash {
  return new EncodedHash();
}

/** The digest of values that add up to `sum`, which may be negative while values are subtracted. */
export function digestHex(sum: bigint): string {
  return (sum & MODULUS_MASK).toString(16).padStart(32, '0');
}

const NUMBER = 1;
const STRING = 2;
const BIGINT = 3;
const BYTES = 4;
const MODULUS_MASK = (1n << 128n) - 1n;

class SummedDigest implements Digest {
  private readonly hash = new EncodedHash();
  private sum = 0n;

  add(entity: number, parts: readonly DigestPart[]): void {
    this.sum = (this.sum + this.hash.of(entity, parts)) & MODULUS_MASK;
  }

  hex(): string {
    return digestHex(this.sum);
  }
}

class EncodedHash implements ValueHash {
  private buffer = Buffer.alloc(1024);
  private length = 0;

  of(entity: number, parts: readonly DigestPart[]): bigint {
    this.length = 0;
    this.double(entity);
    this.integer(parts.length);
    for (const part of parts) this.part(part);
    const digest = hash('sha256', this.buffer.subarray(0, this.length), 'buffer');
    return (digest.readBigUInt64BE(0) << 64n) + digest.readBigUInt64BE(8);
  }

  private part(part: DigestPart): void {
    if (typeof part === 'number') {
      this.tag(NUMBER);
      this.double(part);
    } else if (typeof part === 'string') {
      this.tag(STRING);
      // UTF-16 code units: UTF-8 would write every lone surrogate as the same three bytes.
      this.bytes(Buffer.from(part, 'utf16le'));
    } else if (typeof part === 'bigint') {
      this.tag(BIGINT);
      this.bytes(Buffer.from(part.toString(16), 'latin1'));
    } else {
      this.tag(BYTES);
      this.bytes(part);
    }
  }

  private tag(tag: number): void {
    this.room(1);
    this.length = this.buffer.writeUInt8(tag, this.length);
  }

  private integer(value: number): void {
    this.room(4);
    this.length = this.buffer.writeUInt32BE(value, this.length);
  }

  private double(value: number): void {
    this.room(8);
    this.length = this.buffer.writeDoubleBE(value, this.length);
  }

  private bytes(bytes: Uint8Array): void {
    this.integer(bytes.length);
    this.room(bytes.length);
    this.buffer.set(bytes, this.length);
    this.length += bytes.length;
  }

  private room(bytes: number): void {
    if (this.length + bytes <= this.buffer.length) return;
    const grown = Buffer.alloc(Math.max(this.buffer.length * 2, this.length + bytes));
    this.buffer.copy(grown, 0, 0, this.length);
    this.buffer = grown;
  }
}
