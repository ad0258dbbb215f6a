/** Repeatable randomness: xorshift32 from a seed. */
import type { Random } from '../../../shared/kernel/kernel.ts';

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

/** From 0 up to 1, 1 excluded. */
export function drawFraction(random: Random): number {
  const [a = 0, b = 0, c = 0, d = 0] = random.bytes(4);
  return (((a << 24) | (b << 16) | (c << 8) | d) >>> 0) / 2 ** 32;
}

export function chance(random: Random, probability: number): boolean {
  return drawFraction(random) < probability;
}

/** A whole number, both ends included. */
export function drawBetween(random: Random, least: number, most: number): number {
  return least + Math.floor(drawFraction(random) * (most - least + 1));
}

export function drawOne<T>(random: Random, choices: readonly T[]): T {
  const drawn = choices[drawBetween(random, 0, choices.length - 1)];
  if (drawn === undefined) throw new Error('nothing to draw from');
  return drawn;
}
