/**
 * An hnswlib graph over unit vectors by inner product, which is their cosine similarity.
 *
 * A vector is added under a new label and, when it is removed, marked deleted permanently: a label never means two vectors.
 * Deleted vectors stay in the graph as nodes on paths; the owner builds a new graph when they are too many. While the graph is
 * written to a file nothing in it changes: vectors removed meanwhile are excluded from every answer at once, and marked when the
 * file is complete.
 */
import { createRequire } from 'node:module';
import { messageOf } from '../../../../shared/errors/errors.ts';
import { assert } from '../../../../shared/kernel/kernel.ts';

/** The used part of hnswlib-node. Its own types are only available if the package is installed. */
interface HnswIndex {
  initIndex(capacity: number, links: number, efConstruction: number, seed: number): void;
  readIndex(file: string): Promise<boolean>;
  writeIndex(file: string): Promise<boolean>;
  resizeIndex(capacity: number): void;
  getMaxElements(): number;
  getCurrentCount(): number;
  addPoint(vector: number[], label: number): void;
  markDelete(label: number): void;
  setEf(ef: number): void;
  searchKnn(query: number[], count: number, filter?: (label: number) => boolean): { readonly neighbors: number[] };
}
interface Hnswlib {
  readonly HierarchicalNSW: new (space: 'ip', dimensions: number) => HnswIndex;
}

/** hnswlib-node is compiled when it is installed, and therefore optional: it is missing on a machine without a compiler. */
function loadHnswlib(): { readonly hnswlib: Hnswlib } | { readonly missing: string } {
  try {
    return { hnswlib: createRequire(import.meta.url)('hnswlib-node') as Hnswlib };
  } catch (error) {
    return { missing: messageOf(error).split('\n', 1)[0] ?? '' };
  }
}
const loaded = loadHnswlib();

/** Why there are no graphs on this machine, the loader's error; undefined if there are. */
export const graphsMissing: string | undefined = 'missing' in loaded ? loaded.missing : undefined;

function newIndex(dimensions: number): HnswIndex {
  assert('hnswlib' in loaded, 'a graph is built only where hnswlib-node can be loaded', () => graphsMissing);
  return new loaded.hnswlib.HierarchicalNSW('ip', dimensions);
}

/** Links a vector: hnswlib's usual value. */
const LINKS = 16;
/** Candidates when a vector is inserted. Twice as many cost three fifths more without better recall. */
const EF_CONSTRUCTION = 100;
/** Minimum of candidates of a search. */
const EF_MINIMUM = 96;
/** Levels are drawn from this seed: graphs built by the same steps are the same. */
const SEED = 100;
const GONE = -1;

export class VectorGraph {
  private readonly index: HnswIndex;
  private capacity: number;
  /** By label; `GONE` once deleted. */
  private slots: Int32Array;
  private labels = 0;
  /** By slot; `GONE` if the slot's vector is not in the graph. */
  private labelOf = new Int32Array(1_024).fill(GONE);
  private count = 0;
  /** Labels to be marked deleted once the file is written; undefined while none is. */
  private deferred: number[] | undefined;

  private constructor(index: HnswIndex, capacity: number) {
    this.index = index;
    this.capacity = capacity;
    this.slots = new Int32Array(capacity).fill(GONE);
  }

  /** `capacity` is the initial one: it doubles when it is used up. */
  static empty({ dimensions, capacity }: { dimensions: number; capacity: number }): VectorGraph {
    const index = newIndex(dimensions);
    index.initIndex(capacity, LINKS, EF_CONSTRUCTION, SEED);
    return new VectorGraph(index, capacity);
  }

  /**
   * The graph in a file that {@link write} made, whose bytes were checked, because hnswlib trusts them. Its labels 0 … count − 1
   * have no slots yet.
   */
  static async read({ file, dimensions }: { file: string; dimensions: number }): Promise<VectorGraph> {
    const index = newIndex(dimensions);
    await index.readIndex(file);
    const graph = new VectorGraph(index, index.getMaxElements());
    graph.labels = index.getCurrentCount();
    return graph;
  }

  /** Number of vectors that can be found. */
  get live(): number {
    return this.count;
  }

  get deleted(): number {
    return this.labels - this.count;
  }

  /** False while it is written to a file: nothing may be added. */
  get open(): boolean {
    return this.deferred === undefined;
  }

  has(slot: number): boolean {
    return slot < this.labelOf.length && this.labelOf[slot] !== GONE;
  }

  /** The slot must not be in the graph, and the graph open. */
  add(slot: number, vector: Float32Array): void {
    assert(this.open && !this.has(slot), 'a slot is added once, to an open graph', () => slot);
    const label = this.labels;
    if (label === this.capacity) this.grow();
    this.index.addPoint(Array.from(vector), label);
    this.labels++;
    this.adopt(label, slot);
  }

  /** Maps a label read from a file to this slot. */
  adopt(label: number, slot: number): void {
    while (slot >= this.labelOf.length) {
      const grown = new Int32Array(this.labelOf.length * 2).fill(GONE);
      grown.set(this.labelOf);
      this.labelOf = grown;
    }
    this.slots[label] = slot;
    this.labelOf[slot] = label;
    this.count++;
  }

  /** Deletes a label read from a file. It must not be deleted already. */
  drop(label: number): void {
    this.index.markDelete(label);
  }

  /** Idempotent. */
  remove(slot: number): void {
    if (!this.has(slot)) return;
    const label = this.labelOf[slot]!;
    if (this.deferred === undefined) this.index.markDelete(label);
    else this.deferred.push(label);
    this.slots[label] = GONE;
    this.labelOf[slot] = GONE;
    this.count--;
  }

  /**
   * About the `limit` nearest slots of those that `accept` accepts, in no particular order; fewer if it finds no more. With a
   * selective filter it visits the whole graph.
   */
  nearest(query: Float64Array, limit: number, accept?: (slot: number) => boolean): readonly number[] {
    const count = Math.min(limit + (this.deferred?.length ?? 0), this.labels);
    if (count === 0 || this.count === 0) return [];
    this.index.setEf(Math.max(EF_MINIMUM, count));
    const filter =
      accept === undefined
        ? undefined
        : (label: number): boolean => this.slots[label] !== GONE && accept(this.slots[label]!);
    const { neighbors } = this.index.searchKnn(Array.from(query), count, filter);
    return neighbors.map((label) => this.slots[label]!).filter((slot) => slot !== GONE);
  }

  /** By label: its slot; negative if it is deleted. */
  get slotsByLabel(): Int32Array {
    return this.slots.subarray(0, this.labels);
  }

  /** Writes its present state, in another thread. One at a time. */
  async write(file: string): Promise<void> {
    assert(this.open, 'a graph is written once at a time');
    this.deferred = [];
    try {
      await this.index.writeIndex(file);
    } finally {
      for (const label of this.deferred) this.index.markDelete(label);
      this.deferred = undefined;
    }
  }

  /** hnswlib moves pages of memory, not vectors. */
  private grow(): void {
    this.capacity *= 2;
    this.index.resizeIndex(this.capacity);
    const slots = new Int32Array(this.capacity).fill(GONE);
    slots.set(this.slots);
    this.slots = slots;
  }
}
