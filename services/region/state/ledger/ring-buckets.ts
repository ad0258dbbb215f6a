/** The content of a ring, bucket by bucket: filled again and again, so that reading all rings makes nothing to collect. */
import { type BucketValues, HOURS_KEPT } from './spans/spans.ts';

export interface ListedRings {
  readonly minutes: RingBuckets;
  readonly hours: RingBuckets;
}

export class RingBuckets {
  count = 0;
  /** Of the first {@link count}: bucket numbers, ascending, and their sums, thousandths, none of 0. NaN: it is in {@link wide}. */
  readonly buckets = new Float64Array(HOURS_KEPT);
  private readonly sums = new Float64Array(HOURS_KEPT);
  /** By index: sums beyond 2^53. */
  private readonly wide = new Map<number, bigint>();

  sum(index: number): number | bigint {
    const sum = this.sums[index]!;
    return Number.isNaN(sum) ? this.wide.get(index)! : sum;
  }

  /** For a sum that is exact as a number. */
  set(index: number, bucket: number, sum: number): void {
    this.buckets[index] = bucket;
    this.sums[index] = sum;
  }

  setExact(index: number, bucket: number, sum: number | bigint): void {
    if (typeof sum === 'number') {
      this.set(index, bucket, sum);
      return;
    }
    this.set(index, bucket, Number.NaN);
    this.wide.set(index, sum);
  }

  /** Adds to the bucket, wherever it belongs. For a few of them, that are exact as numbers together. */
  add(bucket: number, sum: number): void {
    const { buckets, sums } = this;
    let index = this.count;
    while (index > 0 && buckets[index - 1]! > bucket) index--;
    if (index > 0 && buckets[index - 1] === bucket) {
      sums[index - 1]! += sum;
      return;
    }
    for (let at = this.count++; at > index; at--) {
      buckets[at] = buckets[at - 1]!;
      sums[at] = sums[at - 1]!;
    }
    buckets[index] = bucket;
    sums[index] = sum;
  }

  /** Adds to the newest bucket, which may be listed or not. */
  addNewest(bucket: number, sum: number | bigint): void {
    if (sum === 0) return;
    const last = this.count - 1;
    if (last < 0 || this.buckets[last] !== bucket) this.setExact(this.count++, bucket, sum);
    else this.setExact(last, bucket, total(this.sum(last), sum));
  }

  values(): BucketValues {
    const values: BucketValues = [];
    for (let index = 0; index < this.count; index++) values.push(this.buckets[index]!, this.sum(index));
    return values;
  }
}

/** Exact, in the one form that a sum has: see `carries.ts`. */
function total(a: number | bigint, b: number | bigint): number | bigint {
  if (typeof a === 'number' && typeof b === 'number' && a + b <= Number.MAX_SAFE_INTEGER) return a + b;
  const sum = BigInt(a) + BigInt(b);
  return sum <= Number.MAX_SAFE_INTEGER ? Number(sum) : sum;
}
