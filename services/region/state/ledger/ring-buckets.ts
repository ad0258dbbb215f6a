/** The content of a ring, bucket by bucket: filled again and again, so that reading all rings makes nothing to collect. */
import { type BucketValues, HOURS_KEPT } from './spans/spans.ts';

export class RingBuckets {
  count = 0;
  /** Of the first {@link count}: bucket numbers, ascending, and their sums, thousandths, none of 0. */
  readonly buckets = new Array<number>(HOURS_KEPT).fill(0);
  readonly sums = new Array<number | bigint>(HOURS_KEPT).fill(0);

  set(index: number, bucket: number, sum: number | bigint): void {
    this.buckets[index] = bucket;
    this.sums[index] = sum;
  }

  /** Adds to the bucket, wherever it belongs. For a few of them. */
  add(bucket: number, sum: number): void {
    let index = this.count;
    while (index > 0 && this.buckets[index - 1]! > bucket) index--;
    if (index > 0 && this.buckets[index - 1] === bucket) {
      this.sums[index - 1] = (this.sums[index - 1] as number) + sum;
      return;
    }
    for (let at = this.count++; at > index; at--) this.set(at, this.buckets[at - 1]!, this.sums[at - 1]!);
    this.set(index, bucket, sum);
  }

  /** Adds to the newest bucket, which may be listed or not. */
  addNewest(bucket: number, sum: number | bigint): void {
    if (sum === 0) return;
    const last = this.count - 1;
    if (last < 0 || this.buckets[last] !== bucket) this.set(this.count++, bucket, sum);
    else this.sums[last] = total(this.sums[last]!, sum);
  }

  values(): BucketValues {
    const values: BucketValues = [];
    for (let index = 0; index < this.count; index++) values.push(this.buckets[index]!, this.sums[index]!);
    return values;
  }
}

/** Exact, in the one form that a sum has: see `carries.ts`. */
function total(a: number | bigint, b: number | bigint): number | bigint {
  if (typeof a === 'number' && typeof b === 'number' && a + b <= Number.MAX_SAFE_INTEGER) return a + b;
  const sum = BigInt(a) + BigInt(b);
  return sum <= Number.MAX_SAFE_INTEGER ? Number(sum) : sum;
}
