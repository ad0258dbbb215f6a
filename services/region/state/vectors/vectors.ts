/**
 * The vector index over the embeddings of live items, cosine similarity. Approximate (hnswlib) beyond a few thousand
 * vectors, exact below; outside the digest.
 *
 * Promise: a replaced or removed vector never comes back in an answer; capacity grows before it is needed.
 */

export interface VectorHit {
  readonly entity: number;
  /** Cosine similarity, −1 … 1; vectors of length 0 have similarity 0 to everything. */
  readonly similarity: number;
}

export interface VectorIndex {
  /** Indexes the vector, replacing the entity's former one. Length = the schema's dimensions. */
  put(entity: number, values: Float32Array): void;
  /** Idempotent. */
  remove(entity: number): void;
  /** The `limit` nearest to `values` among those `accept` takes, nearest first, ties by entity id. */
  nearest(values: Float32Array, limit: number, accept?: (entity: number) => boolean): readonly VectorHit[];
  readonly size: number;
}
