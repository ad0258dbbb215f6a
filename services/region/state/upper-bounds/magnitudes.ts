/** Magnitudes: for every entity, one byte a signal, between which powers of two its total is. */

const WEIGHT_SCALE = 1_000;
const PAGE_BITS = 16;
const PAGE_ORDINALS = 1 << PAGE_BITS;
const PAGE_MASK = PAGE_ORDINALS - 1;
const TWO_32 = 4_294_967_296;
/** By number of bits: the bound that every number of that many bits is below; 0 for none. */
const POWERS = Float64Array.from({ length: 65 }, (_, bits) => (bits === 0 ? 0 : 2 ** bits));

export class Magnitudes {
  private readonly signals: number;
  /** By ordinal, then signal: the number of bits of the sum, thousandths. Pages never move once they are full. */
  private readonly pages: Uint8Array[] = [];

  constructor(signals: number) {
    this.signals = signals;
  }

  /** Capacity: ordinals below this. */
  reserve(ordinals: number): void {
    const first = Math.min(ordinals, PAGE_ORDINALS) * this.signals;
    if ((this.pages[0]?.length ?? 0) < first) {
      const bits = new Uint8Array(first);
      bits.set(this.pages[0] ?? []);
      this.pages[0] = bits;
    }
    while (this.pages.length * PAGE_ORDINALS < ordinals) {
      this.pages.push(new Uint8Array(PAGE_ORDINALS * this.signals));
    }
  }

  /** Thousandths. */
  set(ordinal: number, signal: number, sum: number): void {
    this.pages[ordinal >> PAGE_BITS]![(ordinal & PAGE_MASK) * this.signals + signal] = bitsOf(sum);
  }

  /** The sum is less than this, or both are 0; weights. */
  atMost(ordinal: number, signal: number): number {
    const bits = this.pages[ordinal >> PAGE_BITS]![(ordinal & PAGE_MASK) * this.signals + signal]!;
    return POWERS[bits]! / WEIGHT_SCALE;
  }

  /** And it is not below this. */
  atLeast(ordinal: number, signal: number): number {
    return this.atMost(ordinal, signal) / 2;
  }
}

/** 0 for 0; else 1 + the index of the highest bit, of an integer below 2^64. */
function bitsOf(value: number): number {
  return value < TWO_32 ? 32 - Math.clz32(value) : 64 - Math.clz32(value / TWO_32);
}
