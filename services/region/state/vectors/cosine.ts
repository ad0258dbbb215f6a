/**
 * Cosine similarity, the same bits in every thread and every region: vectors are normalised in 64 bits and stored in 32, a
 * similarity is their product with the normalised query, summed in a fixed order.
 */

/** The vector of length 1 in the same direction; one of length 0 is unchanged. */
export function unit(values: Float32Array): Float64Array {
  let squares = 0;
  for (const value of values) squares += value * value;
  const length = Math.sqrt(squares);
  const result = new Float64Array(values.length);
  if (length > 0) for (let i = 0; i < values.length; i++) result[i] = values[i]! / length;
  return result;
}

export function isZero(values: ArrayLike<number>): boolean {
  for (let i = 0; i < values.length; i++) if (values[i] !== 0) return false;
  return true;
}

/** The similarity of `query` and the vector in `values` from `at` on, both of length 1 (or 0): −1 … 1. */
export function similarity(query: Float64Array, values: Float32Array, at: number): number {
  const { length } = query;
  const even = length - (length % 4);
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  let i = 0;
  for (; i < even; i += 4, at += 4) {
    a += query[i]! * values[at]!;
    b += query[i + 1]! * values[at + 1]!;
    c += query[i + 2]! * values[at + 2]!;
    d += query[i + 3]! * values[at + 3]!;
  }
  for (; i < length; i++, at++) a += query[i]! * values[at]!;
  const sum = a + b + (c + d);
  // Rounding to 32 bits may leave a length a little above 1.
  return Math.min(1, Math.max(-1, sum));
}
