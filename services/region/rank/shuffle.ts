/**
 * A number in [0, 1) from a seed and an entity: the same in every region at any time, and without a visible pattern. Two 32-bit
 * lanes mixed as in MurmurHash3; 53 bits of them make the number.
 */

const TWO_32 = 4_294_967_296;
/** Of the number, the bits of the right lane. */
const HIGH_BITS = 2 ** 21;

export class Shuffle {
  private readonly first: number;
  private readonly second: number;

  constructor(seed: string) {
    let first = 0x2545f491;
    let second = 0x6c62272e;
    for (let index = 0; index < seed.length; index++) {
      const unit = seed.charCodeAt(index);
      first = mix(Math.imul(first ^ unit, 0x01000193));
      second = mix(Math.imul(second ^ unit, 0x85ebca6b) + first);
    }
    this.first = first | 0;
    this.second = second | 0;
  }

  draw(entity: number): number {
    const { first, second } = this;
    const low = entity | 0;
    const left = leftOf(entity, low, first, second);
    return ((mix(second ^ mix((low + left) | 0)) >>> 11) * TWO_32 + (left >>> 0)) / 2 ** 53;
  }

  /** The index of the next entity from `from` on that may draw `atLeast` or more; `end`: there is none below it. */
  next(entities: Float64Array, from: number, end: number, atLeast: number): number {
    const { first, second } = this;
    const high = Math.floor(atLeast * HIGH_BITS);
    for (let at = from; at < end; at++) {
      const entity = entities[at]!;
      const low = entity | 0;
      const left = leftOf(entity, low, first, second);
      if (mix(second ^ mix((low + left) | 0)) >>> 11 >= high) return at;
    }
    return end;
  }
}

function leftOf(entity: number, low: number, first: number, second: number): number {
  const high = entity < TWO_32 ? 0 : Math.floor(entity / TWO_32);
  return mix(first ^ mix(low ^ mix(high ^ second)));
}

function mix(value: number): number {
  let bits = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return bits ^ (bits >>> 16);
}
