/**
 * The rings of one signal's pairs, each pair in the cheapest form that holds it: sparse while it has few minutes with
 * events, dense from then on, sparse again when a later event finds everything fallen out. The form is representation:
 * `values` answers the same for either.
 *
 * A pair refers to its rings by an integer: positive, a sparse block + 1; negative, −(a dense block + 1). 0 is left to the
 * caller: a pair whose events all lie in one minute needs no rings at all.
 */
import { DenseRings } from './dense-rings.ts';
import type { BucketValues, RingKind } from './ring-spans.ts';
import { HOURS_KEPT, hourOf } from './ring-spans.ts';
import type { ShardReader, ShardWriter } from './shard-codec.ts';
import { SparseRings } from './sparse-rings.ts';

export class Rings {
  private readonly sparse = new SparseRings();
  private readonly dense = new DenseRings();

  /** Rings that hold `sum` thousandths at one minute, the newest. */
  open(minute: number, sum: number): number {
    return this.addSparse(this.sparse.open() + 1, minute, minute, sum);
  }

  /**
   * Adds `weight` (at most 2^52 at once) at `minute`; `newest` is the newest minute so far. Answers the rings' reference from now
   * on.
   */
  add(reference: number, minute: number, newest: number, weight: number): number {
    let current = reference;
    let latest = newest;
    if (minute > newest) {
      current = this.turn(reference, newest, minute);
      latest = minute;
    }
    if (weight === 0) return current;
    if (current < 0) {
      this.dense.add(-current - 1, minute, latest, weight);
      return current;
    }
    if (hourOf(latest) - hourOf(minute) >= HOURS_KEPT) return current;
    return this.addSparse(current, minute, latest, weight);
  }

  /** Takes out what `add` put at `minute`, where the rings up to `newest` still cover it. */
  retract(reference: number, minute: number, newest: number, weight: number): void {
    if (weight === 0 || hourOf(newest) - hourOf(minute) >= HOURS_KEPT) return;
    if (reference < 0) this.dense.retract(-reference - 1, minute, newest, weight);
    else this.sparse.retract(reference - 1, minute, weight);
  }

  /** Σ of the buckets in (above, upTo], which the ring must cover; thousandths. */
  sum(reference: number, newest: number, ring: RingKind, above: number, upTo: number): number {
    return reference < 0
      ? this.dense.sum(-reference - 1, ring, above, upTo)
      : this.sparse.sum(reference - 1, newest, ring, above, upTo);
  }

  /** The ring's content; `newest` is the pair's newest minute. */
  values(reference: number, ring: RingKind, newest: number): BucketValues {
    return reference < 0
      ? this.dense.values(-reference - 1, ring, ring === 'minutes' ? newest : hourOf(newest))
      : this.sparse.values(reference - 1, ring, newest);
  }

  /** The rings in the form they are in; `newest` is the pair's newest minute. */
  write(reference: number, newest: number, writer: ShardWriter): void {
    if (reference < 0) this.dense.write(-reference - 1, newest, writer);
    else this.sparse.write(reference - 1, newest, writer);
  }

  /** New rings with what `write` wrote. */
  read(form: 'sparse' | 'dense', newest: number, reader: ShardReader): number {
    if (form === 'sparse') {
      const block = this.sparse.open();
      this.sparse.read(block, newest, reader);
      return block + 1;
    }
    const block = this.dense.open();
    this.dense.read(block, newest, reader);
    return -(block + 1);
  }

  private turn(reference: number, from: number, to: number): number {
    if (reference > 0) {
      this.sparse.turn(reference - 1, from, to);
      return reference;
    }
    if (hourOf(to) - hourOf(from) >= HOURS_KEPT) {
      this.dense.close(-reference - 1);
      return this.sparse.open() + 1;
    }
    this.dense.turn(-reference - 1, from, to);
    return reference;
  }

  private addSparse(reference: number, minute: number, newest: number, weight: number): number {
    const block = reference - 1;
    if (this.sparse.add(block, minute, weight)) return reference;
    const wider = this.dense.open();
    this.sparse.visit(block, newest, (entryMinute, sum) => this.dense.add(wider, entryMinute, newest, sum));
    this.dense.add(wider, minute, newest, weight);
    this.sparse.close(block);
    return -(wider + 1);
  }
}
