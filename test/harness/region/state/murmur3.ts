/** MurmurHash3_x86_128 by its definition (Austin Appleby, public domain), with seed 0, of bytes of any length. */

const MULTIPLIERS = [0x239b961b, 0xab0e9789, 0x38b34ae5, 0xa1e38b93] as const;
const TURNS_OF_WORDS = [15, 16, 17, 18] as const;
const TURNS_OF_STATE = [19, 17, 15, 13] as const;
const ADDENDS = [0x561ccd1b, 0x0bcaa747, 0x96cd1c35, 0x32ac3b17] as const;

/** Four words of 32 bits, unsigned. */
export function murmur3(bytes: Uint8Array): number[] {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const state = [0, 0, 0, 0];
  const scrambled = (word: number, lane: number): number =>
    Math.imul(turned(Math.imul(word, MULTIPLIERS[lane]!), TURNS_OF_WORDS[lane]!), MULTIPLIERS[(lane + 1) % 4]!);
  const whole = bytes.length - (bytes.length % 16);
  for (let block = 0; block < whole; block += 16) {
    for (let lane = 0; lane < 4; lane++) {
      const word = view.readInt32LE(block + 4 * lane);
      const mixed = turned(state[lane]! ^ scrambled(word, lane), TURNS_OF_STATE[lane]!) + state[(lane + 1) % 4]!;
      state[lane] = (Math.imul(mixed, 5) + ADDENDS[lane]!) | 0;
    }
  }
  const tail = Buffer.alloc(16);
  view.copy(tail, 0, whole);
  for (let lane = 0; lane < 4; lane++) state[lane]! ^= scrambled(tail.readInt32LE(4 * lane), lane);
  const joined = state.map((word) => word ^ bytes.length);
  return spread(spread(joined).map(finished)).map((word) => word >>> 0);
}

function spread([first = 0, ...others]: readonly number[]): number[] {
  const sum = others.reduce((total, word) => (total + word) | 0, first);
  return [sum, ...others.map((word) => (word + sum) | 0)];
}

function turned(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}

function finished(word: number): number {
  const first = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
  const second = Math.imul(first ^ (first >>> 13), 0xc2b2ae35);
  return second ^ (second >>> 16);
}
