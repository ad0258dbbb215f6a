/**
 * An hnswlib graph over unit vectors by inner product, which is their cosine similarity.
 *
 * A vector is added under a label never used before and, when it is replaced or removed, marked deleted for good: a label
 * never means two vectors. Deleted vectors stay in the graph as way-points; who owns the graph builds a new one when they
 * become too many.
 */
import hnswlib from 'hnswlib-node';
import { assert } from '../../../../shared/kernel/kernel.ts';

/** Links a vector, and how widely a place for a vector is looked for: hnswlib's usual values. */
const LINKS = 16;
const EF_CONSTRUCTION = 200;
/** How widely is searched, at least. */
const EF_MINIMUM = 64;
/** Levels are drawn from this seed: graphs built by the same steps are the same. */
const SEED = 100;
const GONE = -1;

export class VectorGraph {
  private readonly index: hnswlib.HierarchicalNSW;
  private capacity: number;
  /** By label; `GONE` once deleted. */
  private readonly slotOf: number[] = [];
  private readonly labelOf = new Map<number, number>();

  /** `capacity` is only where it starts: it doubles when it is used up. */
  constructor({ dimensions, capacity }: { dimensions: number; capacity: number }) {
    this.capacity = capacity;
    this.index = new hnswlib.HierarchicalNSW('ip', dimensions);
    this.index.initIndex(capacity, LINKS, EF_CONSTRUCTION, SEED);
  }

  /** Number of vectors that can be found. */
  get live(): number {
    return this.labelOf.size;
  }

  get deleted(): number {
    return this.slotOf.length - this.live;
  }

  has(slot: number): boolean {
    return this.labelOf.has(slot);
  }

  /** The slot must not be in the graph. */
  add(slot: number, vector: Float32Array): void {
    assert(!this.has(slot), 'a slot is added once', () => slot);
    const label = this.slotOf.length;
    if (label === this.capacity) {
      this.capacity *= 2;
      this.index.resizeIndex(this.capacity);
    }
    this.index.addPoint([...vector], label);
    this.slotOf.push(slot);
    this.labelOf.set(slot, label);
  }

  /** Idempotent. */
  remove(slot: number): void {
    const label = this.labelOf.get(slot);
    if (label === undefined) return;
    this.index.markDelete(label);
    this.slotOf[label] = GONE;
    this.labelOf.delete(slot);
  }

  /** About the `limit` nearest slots, in no promised order; fewer when it finds no more. */
  nearest(query: Float64Array, limit: number): readonly number[] {
    const count = Math.min(limit, this.live);
    if (count === 0) return [];
    this.index.setEf(Math.max(EF_MINIMUM, 2 * count));
    const { neighbors } = this.index.searchKnn([...query], count);
    return neighbors.map((label) => this.slotOf[label]!).filter((slot) => slot !== GONE);
  }
}
