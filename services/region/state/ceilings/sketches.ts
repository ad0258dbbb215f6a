/** Of every entity, one byte a signal: between which powers of two its sum of everything lies. */

const WEIGHT_SCALE = 1_000;
const TWO_32 = 4_294_967_296;
/** By number of bits: what every number of so many bits is below; 0 for none. */
const POWERS = Float64Array.from({ length: 65 }, (_, bits) => (bits === 0 ? 0 : 2 ** bits));

export class Sketches {
  private readonly signals: number;
  /** By ordinal, then signal: the number of bits of the sum, thousandths. */
  private bits = new Uint8Array(0);

  constructor(signals: number) {
    this.signals = signals;
  }

  /** Room for ordinals below this. */
  reserve(ordinals: number): void {
    const bits = new Uint8Array(ordinals * this.signals);
    bits.set(this.bits);
    this.bits = bits;
  }

  /** Thousandths; where the sketch stays as it was before, it is not even looked at. */
  change(ordinal: number, signal: number, before: number, after: number): void {
    const bits = bitsOf(after);
    if (bits !== bitsOf(before)) this.bits[ordinal * this.signals + signal] = bits;
  }

  set(ordinal: number, signal: number, sum: number): void {
    this.bits[ordinal * this.signals + signal] = bitsOf(sum);
  }

  /** The sum is less than this, or both are 0; weights. */
  atMost(ordinal: number, signal: number): number {
    return POWERS[this.bits[ordinal * this.signals + signal]!]! / WEIGHT_SCALE;
  }

  /** And it is not below this. */
  atLeast(ordinal: number, signal: number): number {
    return this.atMost(ordinal, signal) / 2;
  }
}

/** 0 for 0; else 1 + the place of the highest bit, of an integer below 2^64. */
function bitsOf(value: number): number {
  return value < TWO_32 ? 32 - Math.clz32(value) : 64 - Math.clz32(value / TWO_32);
}
