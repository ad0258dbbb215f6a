/**
 * A number in [0, 1) from a seed and an entity: the same in every region at any time, and without a visible pattern. Two 32-bit
 * lanes mixed as in MurmurHash3; 53 bits of them make the number.
 */

const TWO_32 = 4_294_967_296;

export function shuffler(seed: string): (entity: number) => number {
  let first = 0x2545f491;
  let second = 0x6c62272e;
  for (let index = 0; index < seed.length; index++) {
    const unit = seed.charCodeAt(index);
    first = mix(Math.imul(first ^ unit, 0x01000193));
    second = mix(Math.imul(second ^ unit, 0x85ebca6b) + first);
  }
  return (entity) => {
    const low = entity >>> 0;
    const high = Math.floor(entity / TWO_32);
    const left = mix(first ^ mix(low ^ mix(high ^ second)));
    const right = mix(second ^ mix(low + left));
    return ((right >>> 11) * TWO_32 + (left >>> 0)) / 2 ** 53;
  };
}

function mix(value: number): number {
  let bits = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return bits ^ (bits >>> 16);
}
