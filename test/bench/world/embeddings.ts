/** The world's vectors: but for some noise they lie in 24 of the dimensions' directions, as those of a trained model do. */
import { randomFrom } from '../../harness/region/state/vectors/vectors.ts';
import { DIMENSIONS } from './world.ts';

const DIRECTIONS = 24;
const NOISE = 0.5;

/** One after another without an end: the same from the same seed. */
export function* embeddingValues(seed: number): Generator<Float32Array, never> {
  const random = randomFrom(seed);
  // Box and Muller.
  const normal = (): number => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const basis = Array.from({ length: DIRECTIONS }, () => Float64Array.from({ length: DIMENSIONS }, normal));
  for (;;) {
    const values = new Float32Array(DIMENSIONS);
    for (const direction of basis) {
      const share = normal();
      for (let index = 0; index < DIMENSIONS; index++) values[index]! += share * direction[index]!;
    }
    for (let index = 0; index < DIMENSIONS; index++) values[index]! += NOISE * (random() * 2 - 1);
    yield values;
  }
}
