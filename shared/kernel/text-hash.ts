/** 32 bits of a text: FNV-1a over its UTF-16 units, mixed as MurmurHash3 ends. The same in every process, for ever. */

/** Of no unit. */
export const NO_UNITS = 0x811c9dc5 | 0;

/** With one more unit. */
export function withUnit(bits: number, unit: number): number {
  return Math.imul(bits ^ unit, 0x01000193);
}

/** The hash, from what all units have made. */
export function mixed(units: number): number {
  let bits = Math.imul(units ^ (units >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return bits ^ (bits >>> 16);
}

export function textHash(text: string): number {
  let bits = NO_UNITS;
  for (let at = 0; at < text.length; at++) bits = withUnit(bits, text.charCodeAt(at));
  return mixed(bits);
}
