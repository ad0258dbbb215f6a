/**
 * The items that earlier pages of a fused result have shown. Its scores are made of ranks, which change with every write above, so
 * a score says nothing about where the next page begins; what was shown does.
 *
 * An item is a fingerprint of 32 bits, with a salt for which all candidates of the first page differ: among them no item is taken
 * for another. One that becomes a candidate later is, with a probability below one in a million, and is then missing.
 *
 * As bytes: salt 1 · number 2 · the ascending differences, Rice coded: at most 23 bits each for {@link SEEN_LIMIT}.
 */
import { assert } from '../../../shared/kernel/kernel.ts';

/** How many items the pages of a fused result show together. */
export const SEEN_LIMIT = 2_000;
const HEAD_BYTES = 1 + 2;
const SALTS = 64;

export class Seen {
  private readonly salt: number;
  private readonly fingerprints: ReadonlySet<number>;

  private constructor(salt: number, fingerprints: ReadonlySet<number>) {
    this.salt = salt;
    this.fingerprints = fingerprints;
  }

  /** None, with all of the candidates distinguished. */
  static none(candidates: readonly number[]): Seen {
    for (let salt = 0; salt < SALTS; salt++) {
      if (new Set(candidates.map((entity) => fingerprint(entity, salt))).size === candidates.length) {
        return new Seen(salt, new Set());
      }
    }
    return new Seen(0, new Set());
  }

  has(entity: number): boolean {
    return this.fingerprints.has(fingerprint(entity, this.salt));
  }

  get size(): number {
    return this.fingerprints.size;
  }

  with(entities: readonly number[]): Seen {
    return new Seen(
      this.salt,
      new Set([...this.fingerprints, ...entities.map((entity) => fingerprint(entity, this.salt))]),
    );
  }

  bytes(): Uint8Array {
    const ascending = Uint32Array.from(this.fingerprints).sort();
    assert(ascending.length <= SEEN_LIMIT, 'a cursor has capacity for what was shown', () => ascending.length);
    const low = lowBits(ascending.length);
    const bits: number[] = [];
    let before = 0;
    for (const each of ascending) {
      const difference = each - before;
      before = each;
      for (let high = Math.floor(difference / 2 ** low); high > 0; high--) bits.push(1);
      bits.push(0);
      for (let bit = low - 1; bit >= 0; bit--) bits.push((difference >>> bit) & 1);
    }
    const bytes = new Uint8Array(HEAD_BYTES + Math.ceil(bits.length / 8));
    bytes.set([this.salt, ascending.length >> 8, ascending.length & 0xff]);
    for (const [at, bit] of bits.entries()) bytes[HEAD_BYTES + (at >> 3)]! |= bit << (at & 7);
    return bytes;
  }

  /** Undefined if {@link bytes} does not return it. */
  static read(bytes: Uint8Array): Seen | undefined {
    if (bytes.length < HEAD_BYTES) return undefined;
    const count = (bytes[1]! << 8) | bytes[2]!;
    if (count > SEEN_LIMIT) return undefined;
    const low = lowBits(count);
    const end = bytes.length * 8;
    let at = HEAD_BYTES * 8;
    const next = (): number => {
      const bit = at < end ? (bytes[at >> 3]! >> (at & 7)) & 1 : 0;
      at++;
      return bit;
    };
    const fingerprints = new Set<number>();
    let value = 0;
    for (let i = 0; i < count; i++) {
      let difference = 0;
      while (next() === 1) difference++;
      for (let bit = 0; bit < low; bit++) difference = difference * 2 + next();
      value += difference;
      if (value >= 2 ** 32) return undefined;
      fingerprints.add(value);
    }
    if (at > end || fingerprints.size !== count) return undefined;
    return new Seen(bytes[0]!, fingerprints);
  }
}

/** So many that the differences of as many numbers below 2^32 take one to two bits more each. */
function lowBits(count: number): number {
  return count === 0 ? 0 : Math.floor(Math.log2(2 ** 32 / count));
}

/** An unsigned integer of 32 bits. */
function fingerprint(entity: number, salt: number): number {
  let mixed = Math.imul(((entity % 2 ** 32) | 0) ^ Math.imul(salt + 1, 0x9e3779b1), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13) ^ Math.imul(Math.floor(entity / 2 ** 32), 0xc2b2ae35), 0x27d4eb2f);
  return (mixed ^ (mixed >>> 15)) >>> 0;
}
