/**
 * The ordinals that have one value, in the form that is smallest for how many they are: one as a number, some as an ascending
 * array (8 bytes each), many as a bitmap (above one in 64 ordinals).
 *
 * Every change answers the form to keep from then on.
 */
import { Bitmap, forEachBit } from './bitmap.ts';

export type Members = number | number[] | Bitmap;

/** Below this length an array is made anew with every member: one that grows by itself keeps room for sixteen more. */
const EXACT_LENGTH = 16;
/** Shorter arrays stay arrays. */
const LEAST_BITMAP = 64;
const BITS_A_MEMBER = 64;

export function sizeOf(members: Members): number {
  if (typeof members === 'number') return 1;
  return members instanceof Bitmap ? members.count : members.length;
}

export function withMember(members: Members | undefined, ordinal: number): Members {
  if (members === undefined || members === ordinal) return ordinal;
  if (typeof members === 'number') return members < ordinal ? [members, ordinal] : [ordinal, members];
  if (members instanceof Bitmap) {
    members.add(ordinal);
    return members;
  }
  const place = lowerBound(members, ordinal);
  if (members[place] === ordinal) return members;
  if (members.length < EXACT_LENGTH) return members.toSpliced(place, 0, ordinal);
  if (place === members.length) members.push(ordinal);
  else members.splice(place, 0, ordinal);
  const highest = members.at(-1)!;
  return members.length > LEAST_BITMAP && members.length * BITS_A_MEMBER > highest
    ? bitmapOf(members, highest)
    : members;
}

/** Undefined: none is left. */
export function withoutMember(members: Members, ordinal: number): Members | undefined {
  if (typeof members === 'number') return members === ordinal ? undefined : members;
  if (members instanceof Bitmap) {
    members.delete(ordinal);
    const { count, words } = members;
    // Half as many as where it became a bitmap, so that it does not turn to and fro.
    return count * BITS_A_MEMBER * 2 > words.length * 32 && count > LEAST_BITMAP / 2 ? members : arrayOf(members);
  }
  const place = lowerBound(members, ordinal);
  if (members[place] !== ordinal) return members;
  members.splice(place, 1);
  return members.length === 1 ? members[0] : members;
}

/** Each once, ascending. */
export function forEachMember(members: Members, visit: (ordinal: number) => void): void {
  if (typeof members === 'number') visit(members);
  else if (members instanceof Bitmap) forEachBit(members.words, visit);
  else for (const ordinal of members) visit(ordinal);
}

/** The first place whose ordinal is not below `ordinal`. */
export function lowerBound(ordinals: ArrayLike<number>, ordinal: number): number {
  let low = 0;
  let high = ordinals.length;
  if (high > 0 && ordinals[high - 1]! < ordinal) return high;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ordinals[middle]! < ordinal) low = middle + 1;
    else high = middle;
  }
  return low;
}

function bitmapOf(ordinals: readonly number[], highest: number): Bitmap {
  const bitmap = new Bitmap(highest);
  for (const ordinal of ordinals) bitmap.add(ordinal);
  return bitmap;
}

function arrayOf(bitmap: Bitmap): number[] {
  const ordinals: number[] = [];
  forEachBit(bitmap.words, (ordinal) => void ordinals.push(ordinal));
  return ordinals;
}
