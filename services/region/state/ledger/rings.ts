/**
 * The rings of one signal's pairs, each pair in the cheapest form: sparse while it has few minutes with events, dense from then
 * on, packed when it is quiet and after a start, dense again with its next event, or sparse if all former buckets have dropped
 * out by then. The form is only representation: `list` fills in the same for each.
 *
 * A pair refers to its rings by an integer: positive, a sparse block + 1; negative, −(2 · a dense block + 1) or −(2 · a packed
 * chunk + 2). 0 is for the caller: a pair whose events are all in one minute needs no rings.
 *
 * Rings may lag behind their pair: an event in the pair's newest minute is added to its sum alone, and flushed into the buckets
 * together with all others of that minute once a later one begins or something else needs them. The part that the rings have is
 * *settled*: the low limb of the pair's sum at the last flush. The rest of the sum is *pending*, and belongs to the newest
 * minute. In packed rings nothing is pending.
 */

import { VarintReader, VarintWriter } from '../../../../shared/kernel/varints.ts';
import { DenseRings } from './dense-rings.ts';
import { PACKED_LIMIT_BYTES, PackedRings, skipRings } from './packed-rings.ts';
import type { ListedRings } from './ring-buckets.ts';
import type { RingKind, RingTotals } from './spans/spans.ts';
import { HOURS_KEPT, hourOf } from './spans/spans.ts';
import { SparseRings } from './sparse-rings.ts';

export class Rings {
  private readonly sparse = new SparseRings();
  private readonly dense = new DenseRings();
  private readonly packed = new PackedRings();
  private readonly scratch = new VarintWriter(8_192);

  /** Empty rings, nothing settled. */
  open(): number {
    return this.sparse.open() + 1;
  }

  isPacked(reference: number): boolean {
    return isPacked(reference);
  }

  /** For rings that are not packed. */
  flushed(reference: number): number {
    return reference > 0 ? this.sparse.flushed(reference - 1) : this.dense.flushed(denseOf(reference));
  }

  /** The part of the pair's sum, in its newest minute, that is not in the rings yet. */
  pending(reference: number, sum: number): number {
    return isPacked(reference) ? 0 : sum - this.flushed(reference);
  }

  /** For rings that are not packed: all of `sum` is in them. */
  flush(reference: number, sum: number): void {
    if (reference > 0) this.sparse.flush(reference - 1, sum);
    else this.dense.flush(denseOf(reference), sum);
  }

  /**
   * For rings that are not packed, of a pair with this `sum`: a later minute becomes the newest. Flushes the pending part.
   * Returns the new reference.
   */
  roll(reference: number, from: number, to: number, sum: number): number {
    const pending = sum - this.flushed(reference);
    const turned = this.turn(this.add(reference, from, from, pending), from, to);
    this.flush(turned, sum);
    return turned;
  }

  /**
   * Adds `weight` (at most 2^52 at once) at `minute`; `newest` is the newest minute so far, nothing is pending. Returns the
   * rings' new reference; the caller then sets the settled part.
   */
  add(reference: number, minute: number, newest: number, weight: number): number {
    let current = isPacked(reference) ? this.unpack(reference, newest) : reference;
    let latest = newest;
    if (minute > newest) {
      current = this.turn(current, newest, minute);
      latest = minute;
    }
    if (weight === 0) return current;
    if (current < 0) {
      this.dense.add(denseOf(current), minute, latest, weight);
      return current;
    }
    if (hourOf(latest) - hourOf(minute) >= HOURS_KEPT) return current;
    return this.addSparse(current, minute, latest, weight);
  }

  /**
   * Subtracts what `add` added at `minute`, if the rings up to `newest` still cover it. Returns the new reference; the caller
   * then sets the settled part.
   */
  retract(reference: number, minute: number, newest: number, weight: number): number {
    if (weight === 0 || hourOf(newest) - hourOf(minute) >= HOURS_KEPT) return reference;
    const current = isPacked(reference) ? this.unpack(reference, newest) : reference;
    if (current < 0) this.dense.retract(denseOf(current), minute, newest, weight);
    else this.sparse.retract(current - 1, minute, weight);
    return current;
  }

  /** `pending` + Σ of the buckets in (above, upTo], which the ring must cover; thousandths. */
  sum(reference: number, newest: number, ring: RingKind, above: number, upTo: number, pending: number): number {
    if (reference > 0) return this.sparse.sum(reference - 1, newest, ring, above, upTo, pending);
    if (isPacked(reference)) return this.packed.sum(packedOf(reference), newest, ring, above, upTo);
    return this.dense.sum(denseOf(reference), ring, above, upTo, pending);
  }

  /** Writes the totals as of the pair's newest minute, without the pending part, to `totals`. */
  totals(reference: number, newest: number, totals: RingTotals): void {
    if (reference < 0 && !isPacked(reference)) {
      this.dense.totals(denseOf(reference), totals);
      return;
    }
    if (reference > 0) {
      this.sparse.totals(reference - 1, newest, totals);
      return;
    }
    this.packed.totals(packedOf(reference), totals);
  }

  /** The content of both rings, nothing being pending; `newest` is the pair's newest minute. */
  list(reference: number, newest: number, into: ListedRings): void {
    if (reference > 0) this.sparse.list(reference - 1, newest, into);
    else if (isPacked(reference)) this.packed.list(packedOf(reference), newest, into);
    else this.dense.list(denseOf(reference), newest, into);
  }

  /** The rings in the form they are in, packed as dense, nothing being pending; `newest` is the pair's newest minute. */
  write(reference: number, newest: number, writer: VarintWriter): void {
    if (reference > 0) this.sparse.write(reference - 1, newest, writer);
    else if (isPacked(reference)) writer.bytes(this.packed.bytes(packedOf(reference)));
    else this.dense.write(denseOf(reference), newest, writer);
  }

  /** New rings from the bytes of `write` of a pair with this `sum`; dense ones stay packed until they are needed. */
  read(form: 'sparse' | 'dense', newest: number, sum: number, reader: VarintReader): number {
    if (form === 'sparse') {
      const block = this.sparse.open();
      this.sparse.read(block, newest, reader);
      this.sparse.flush(block, sum);
      return block + 1;
    }
    const start = reader.position;
    skipRings(reader);
    const bytes = reader.since(start);
    if (bytes.length <= PACKED_LIMIT_BYTES) return packedReference(this.packed.store(bytes));
    const block = this.dense.open();
    this.dense.read(block, newest, new VarintReader(bytes));
    this.dense.flush(block, sum);
    return denseReference(block);
  }

  /** Packs dense rings, nothing being pending, if that saves memory. Returns the new reference. */
  pack(reference: number, newest: number): number {
    if (reference >= 0 || isPacked(reference)) return reference;
    const block = denseOf(reference);
    this.scratch.drain();
    this.dense.write(block, newest, this.scratch);
    const bytes = this.scratch.drain();
    if (bytes.length > PACKED_LIMIT_BYTES) return reference;
    const packed = packedReference(this.packed.store(bytes));
    this.dense.close(block);
    return packed;
  }

  private unpack(reference: number, newest: number): number {
    const chunk = packedOf(reference);
    const block = this.dense.open();
    this.dense.read(block, newest, this.packed.read(chunk));
    this.packed.close(chunk);
    return denseReference(block);
  }

  private turn(reference: number, from: number, to: number): number {
    if (reference > 0) {
      this.sparse.turn(reference - 1, from, to);
      return reference;
    }
    if (hourOf(to) - hourOf(from) >= HOURS_KEPT) {
      this.dense.close(denseOf(reference));
      return this.sparse.open() + 1;
    }
    this.dense.turn(denseOf(reference), from, to);
    return reference;
  }

  private addSparse(reference: number, minute: number, newest: number, weight: number): number {
    const block = reference - 1;
    if (this.sparse.add(block, minute, weight)) return reference;
    const wider = this.dense.open();
    this.sparse.visit(block, newest, (entryMinute, sum) => this.dense.add(wider, entryMinute, newest, sum));
    this.dense.add(wider, minute, newest, weight);
    this.sparse.close(block);
    return denseReference(wider);
  }
}

function isPacked(reference: number): boolean {
  return reference < 0 && (reference & 1) === 0;
}

function denseReference(block: number): number {
  return -(2 * block + 1);
}

function denseOf(reference: number): number {
  return (-reference - 1) / 2;
}

function packedReference(chunk: number): number {
  return -(2 * chunk + 2);
}

function packedOf(reference: number): number {
  return (-reference - 2) / 2;
}
