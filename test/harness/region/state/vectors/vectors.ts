/** Vectors drawn from a seed, and what an index of them has to answer, by looking at all of them. */
import { VectorIndex } from '../../../../../services/region/state/vectors/vector-index.ts';
import type { Among } from '../../../../../services/region/state/vectors/vector-worker.ts';
import type { VectorHit } from '../../../../../services/region/state/vectors/vectors.ts';

/** mulberry32: the same numbers in every run. */
export function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export function vectorsFrom(seed: number, count: number, dimensions: number): Float32Array[] {
  const random = randomFrom(seed);
  return Array.from({ length: count }, () => Float32Array.from({ length: dimensions }, () => random() * 2 - 1));
}

export function cosine(a: Float32Array, b: Float32Array): number {
  const dot = (x: Float32Array, y: Float32Array): number => x.reduce((sum, value, i) => sum + value * y[i]!, 0);
  const lengths = Math.sqrt(dot(a, a) * dot(b, b));
  return lengths === 0 ? 0 : dot(a, b) / lengths;
}

/** Nearest first, ties by entity id. */
export function bruteForce(vectors: ReadonlyMap<number, Float32Array>, query: Float32Array, limit: number): number[] {
  return [...vectors]
    .map(([entity, vector]) => ({ entity, similarity: cosine(vector, query) }))
    .sort((a, b) => b.similarity - a.similarity || a.entity - b.entity)
    .slice(0, limit)
    .map(({ entity }) => entity);
}

/** How much of the ten nearest is found. */
export function recallOf(
  nearest: (query: Float32Array, limit: number) => readonly { readonly entity: number }[],
  vectors: ReadonlyMap<number, Float32Array>,
  queries: readonly Float32Array[],
): number {
  let found = 0;
  for (const query of queries) {
    const hits = new Set(nearest(query, 10).map(({ entity }) => entity));
    found += bruteForce(vectors, query, 10).filter((entity) => hits.has(entity)).length;
  }
  return found / (10 * queries.length);
}

/** The index alone, with ordinals that are ten times the entities' order of arrival, so that confusing the two fails. */
export class LoneIndex {
  readonly index: VectorIndex;
  private readonly ordinals = new Map<number, number>();

  constructor(options: { readonly dimensions: number; readonly exactLimit?: number }) {
    this.index = new VectorIndex(options);
  }

  get size(): number {
    return this.index.live;
  }

  ordinal(entity: number): number {
    let ordinal = this.ordinals.get(entity);
    if (ordinal === undefined) {
      ordinal = 10 * this.ordinals.size + 3;
      this.ordinals.set(entity, ordinal);
    }
    return ordinal;
  }

  /** And a step of work. */
  put(entity: number, values: Float32Array): void {
    this.index.put(this.ordinal(entity), entity, values);
    this.index.work();
  }

  remove(entity: number): void {
    this.index.remove(this.ordinal(entity));
    this.index.work();
  }

  /** Until nothing is left to do. */
  finish(): void {
    while (this.index.work());
  }

  nearest(values: Float32Array, limit: number, among?: Among): VectorHit[] {
    const { hits } = this.index.nearest(values, limit, among);
    return hits.map(({ entity, score }) => ({ entity, similarity: score }));
  }

  list(entities: readonly number[]): Among {
    return { ordinals: Uint32Array.from(entities, (entity) => this.ordinal(entity)).sort() };
  }

  bitmap(entities: readonly number[]): Among {
    const words = new Int32Array(((this.ordinals.size * 10 + 3) >> 5) + 1);
    for (const entity of entities) words[this.ordinal(entity) >> 5]! |= 1 << (this.ordinal(entity) & 31);
    return { words, count: entities.length };
  }
}
