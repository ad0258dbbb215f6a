/**
 * Second limbs. A stored sum is a limb in a typed array; when an addition would pass the limb's size, the excess is kept
 * here, under the sum's own key: value = carry · limb + low. Sums stay exact integers without paying for the width where
 * it is not needed, and no addition ever rounds.
 */
import { assert } from '../../../../shared/kernel/kernel.ts';

export class Carries {
  private readonly byKey = new Map<number, number>();

  /** False in the common case: readers then need no lookup. */
  get any(): boolean {
    return this.byKey.size > 0;
  }

  get(key: number): number {
    return this.byKey.get(key) ?? 0;
  }

  set(key: number, carry: number): void {
    if (carry === 0) this.byKey.delete(key);
    else this.byKey.set(key, carry);
  }

  /** Returns whether the key had none before. */
  add(key: number, carry: number): boolean {
    const before = this.byKey.get(key);
    this.byKey.set(key, (before ?? 0) + carry);
    return before === undefined;
  }

  /** Subtracts `carry`, which is at most the stored one; returns whether none is left. */
  take(key: number, carry: number): boolean {
    const left = this.get(key) - carry;
    assert(left >= 0, 'a carry never falls below 0', () => ({ key, left }));
    this.set(key, left);
    return left === 0;
  }

  /** Returns whether there was one. */
  delete(key: number): boolean {
    return this.byKey.delete(key);
  }
}

/** The exact value: a number where numbers are exact, else a bigint. One value has one form. */
export function exact(low: number, carry: number, limb: number): number | bigint {
  const value = carry * limb + low;
  if (value <= Number.MAX_SAFE_INTEGER) return value;
  return BigInt(carry) * BigInt(limb) + BigInt(low);
}
