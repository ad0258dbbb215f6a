/**
 * The sum of the values of the state: each value's hash of 128 bits is four words of 32 bits, each added to a sum of its own modulo
 * 2^32.
 *
 * The hash is MurmurHash3_x86_128 with seed 0 of the value's encoding, in units of 8 bytes, little-endian: the entity, then each
 * part, then a mark; zeros up to a multiple of 16 bytes.
 *
 *     number   64-bit float
 *     others   u32 length in bytes · u32 0xfff80000 + type (1 text, UTF-16; 2 bigint, hexadecimal; 3 bytes) · content · zeros
 *     mark     u32 0 · u32 0xfff80000
 *
 * No number has the upper word of a head, so no two lists of parts share bytes. The hash detects faults, not attacks (ADR 18).
 */
import type { Digested, ValueSink } from './digest.ts';

const HEAD = 0xfff80000 | 0;
const TEXT = 1;
const BIGINT = 2;
const BYTES = 3;

const C1 = 0x239b961b;
const C2 = 0xab0e9789 | 0;
const C3 = 0x38b34ae5;
const C4 = 0xa1e38b93 | 0;

/** The digest of these states, counted at once. */
export function digestOf(...states: readonly Digested[]): string {
  const sum = new DigestSum();
  for (const { digested } of states) {
    for (const part of digested) for (let entry = 0; entry < part.entries; entry++) part.describe(entry, sum);
  }
  return sum.hex();
}

export class DigestSum implements ValueSink {
  /** Values are taken out of the sum instead of added. */
  takes = false;
  /** Number of units hashed so far. */
  hashed = 0;
  private readonly sums = new Int32Array(4);
  private units = new Float64Array(256);
  private words = new Int32Array(this.units.buffer);
  private octets = new Uint8Array(this.units.buffer);
  private length = 0;

  begin(entity: number): void {
    this.length = 0;
    this.number(entity);
  }

  number(part: number | bigint): void {
    if (typeof part === 'bigint') {
      const digits = part.toString(16);
      this.head(BIGINT, digits.length);
      this.content(Buffer.from(digits, 'latin1'));
      return;
    }
    if (this.length === this.units.length) this.grow(1);
    this.units[this.length++] = part;
  }

  text(part: string): void {
    this.head(TEXT, part.length * 2);
    const units = (part.length + 3) >>> 2;
    if (this.length + units > this.units.length) this.grow(units);
    // UTF-16 code units: UTF-8 would write every lone surrogate as the same three bytes.
    let at = this.length * 2;
    for (let index = 0; index < units * 4; index += 2) {
      const low = index < part.length ? part.charCodeAt(index) : 0;
      const high = index + 1 < part.length ? part.charCodeAt(index + 1) : 0;
      this.words[at++] = low | (high << 16);
    }
    this.length += units;
  }

  bytes(part: Uint8Array): void {
    this.head(BYTES, part.length);
    this.content(part);
  }

  end(): void {
    this.head(0, 0);
    if ((this.length & 1) === 1) this.number(0);
    this.hashed += this.length;
    const { words } = this;
    const end = this.length * 2;
    let h1 = 0;
    let h2 = 0;
    let h3 = 0;
    let h4 = 0;
    for (let at = 0; at < end; at += 4) {
      let k = Math.imul(words[at]!, C1);
      h1 ^= Math.imul((k << 15) | (k >>> 17), C2);
      h1 = (((h1 << 19) | (h1 >>> 13)) + h2) | 0;
      h1 = (Math.imul(h1, 5) + 0x561ccd1b) | 0;
      k = Math.imul(words[at + 1]!, C2);
      h2 ^= Math.imul((k << 16) | (k >>> 16), C3);
      h2 = (((h2 << 17) | (h2 >>> 15)) + h3) | 0;
      h2 = (Math.imul(h2, 5) + 0x0bcaa747) | 0;
      k = Math.imul(words[at + 2]!, C3);
      h3 ^= Math.imul((k << 17) | (k >>> 15), C4);
      h3 = (((h3 << 15) | (h3 >>> 17)) + h4) | 0;
      h3 = (Math.imul(h3, 5) + 0x96cd1c35) | 0;
      k = Math.imul(words[at + 3]!, C4);
      h4 ^= Math.imul((k << 18) | (k >>> 14), C1);
      h4 = (((h4 << 13) | (h4 >>> 19)) + h1) | 0;
      h4 = (Math.imul(h4, 5) + 0x32ac3b17) | 0;
    }
    const bytes = end * 4;
    h1 ^= bytes;
    h2 ^= bytes;
    h3 ^= bytes;
    h4 ^= bytes;
    h1 = (h1 + h2 + h3 + h4) | 0;
    h2 = (h2 + h1) | 0;
    h3 = (h3 + h1) | 0;
    h4 = (h4 + h1) | 0;
    h1 = mixed(h1);
    h2 = mixed(h2);
    h3 = mixed(h3);
    h4 = mixed(h4);
    h1 = (h1 + h2 + h3 + h4) | 0;
    this.add(0, h1);
    this.add(1, h2 + h1);
    this.add(2, h3 + h1);
    this.add(3, h4 + h1);
  }

  /** 32 hexadecimal digits. */
  hex(): string {
    return [...this.sums].map((sum) => (sum >>> 0).toString(16).padStart(8, '0')).join('');
  }

  private add(word: number, hash: number): void {
    this.sums[word]! += this.takes ? -hash : hash;
  }

  private head(type: number, bytes: number): void {
    if (this.length === this.units.length) this.grow(1);
    this.words[this.length * 2] = bytes;
    this.words[this.length * 2 + 1] = HEAD + type;
    this.length++;
  }

  private content(bytes: Uint8Array): void {
    const units = (bytes.length + 7) >>> 3;
    if (units === 0) return;
    if (this.length + units > this.units.length) this.grow(units);
    this.units[this.length + units - 1] = 0;
    this.octets.set(bytes, this.length * 8);
    this.length += units;
  }

  private grow(units: number): void {
    const grown = new Float64Array(Math.max(this.units.length * 2, this.length + units));
    grown.set(this.units);
    this.units = grown;
    this.words = new Int32Array(grown.buffer);
    this.octets = new Uint8Array(grown.buffer);
  }
}

/** The finalizer of 32 bits. */
function mixed(hash: number): number {
  let bits = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return bits ^ (bits >>> 16);
}
