/** Arrays of numbers that grow: twice as long each time, so that growing costs a constant an element. */

type Numbers = Uint8Array | Uint16Array | Int32Array | Uint32Array | Float64Array;

/** A longer copy with room for `limit` elements; what is new is 0. */
export function grown<T extends Numbers>(array: T, limit: number): T {
  let length = Math.max(array.length, 1);
  while (length < limit) length *= 2;
  const copy = new (array.constructor as new (length: number) => T)(length);
  copy.set(array);
  return copy;
}
