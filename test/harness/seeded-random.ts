/** Chance that repeats itself: xorshift32 from a seed. */
import type { Random } from '../../shared/kernel/kernel.ts';

export function seededRandom(seed: number): Random {
  let state = seed | 1;
  return {
    bytes(count) {
      const bytes = new Uint8Array(count);
      for (let index = 0; index < count; index += 1) {
        state ^= state << 13;
        state ^= state >>> 17;
        state ^= state << 5;
        bytes[index] = state & 255;
      }
      return bytes;
    },
  };
}
