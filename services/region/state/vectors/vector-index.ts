/**
 * The vector index in memory: a table that is scanned while it is small, and a graph over it beyond `EXACT_LIMIT`.
 *
 * A graph is never built in one go, which would hold up every request of the process for seconds: a new one is filled by
 * a few vectors with every change, and takes over when it holds all of them. Until then the former graph answers, or the
 * scan. Similarities always come from the table, so a hit's similarity is the same whichever way it was found.
 *
 * Vectors of length 0 have no direction and stay out of the graph, whose paths they would break; they are similar by 0 to
 * everything. After a restart all of it is built again from the stored embeddings.
 */
import { assert } from '../../../../shared/kernel/kernel.ts';
import { TopScores } from '../../../../shared/kernel/top-scores.ts';
import { VectorGraph } from './vector-graph.ts';
import { unit, VectorTable } from './vector-table.ts';
import type { VectorHit, VectorIndex } from './vectors.ts';

/** Up to here a scan is fast enough, and exact. */
const EXACT_LIMIT = 2_000;
/** How many vectors a change moves into a graph being filled: it takes over before the table has grown by half. */
const FILL_STEP = 4;
/** How many times the hits wanted are looked up in the graph before a filter. */
const FILTERED_FACTOR = 8;

/** `exactLimit`: more vectors than this are searched by graph. */
export function createVectorIndex({
  dimensions,
  exactLimit = EXACT_LIMIT,
}: {
  dimensions: number;
  exactLimit?: number;
}): VectorIndex {
  return new TableAndGraph(dimensions, exactLimit);
}

class TableAndGraph implements VectorIndex {
  private readonly exactLimit: number;
  private readonly table: VectorTable;
  private readonly zeroSlots = new Set<number>();
  /** Holds every live vector that is not zero. */
  private graph: VectorGraph | undefined;
  /** Holds every such vector in the slots below `cursor`, and none beyond. */
  private filling: { readonly graph: VectorGraph; cursor: number } | undefined;

  constructor(dimensions: number, exactLimit: number) {
    this.exactLimit = exactLimit;
    this.table = new VectorTable(dimensions);
  }

  get size(): number {
    return this.table.size;
  }

  put(entity: number, values: Float32Array): void {
    assert(values.length === this.table.dimensions, 'a vector has the dimensions of the schema', () => values.length);
    this.drop(entity);
    const slot = this.table.add(entity, values);
    if (this.table.isZeroAt(slot)) {
      this.zeroSlots.add(slot);
    } else {
      this.graph?.add(slot, this.table.vectorAt(slot));
      if (this.filling !== undefined && slot < this.filling.cursor) {
        this.filling.graph.add(slot, this.table.vectorAt(slot));
      }
    }
    this.maintain();
  }

  remove(entity: number): void {
    if (this.drop(entity)) this.maintain();
  }

  nearest(values: Float32Array, limit: number, accept?: (entity: number) => boolean): readonly VectorHit[] {
    assert(values.length === this.table.dimensions, 'a query has the dimensions of the schema', () => values.length);
    assert(limit >= 1, 'a search asks for at least one hit', () => limit);
    const query = unit(values);
    // To a vector without direction all are equally near: no graph leads to the lowest ids.
    const isZero = query.every((value) => value === 0);
    const best = (isZero ? undefined : this.search(query, limit, accept)) ?? this.scan(query, limit, accept);
    return best.sorted().map(({ entity, score }) => ({ entity, similarity: score }));
  }

  private scan(query: Float64Array, limit: number, accept?: (entity: number) => boolean): TopScores {
    const best = new TopScores(limit);
    for (let slot = 0; slot < this.table.slotLimit; slot++) {
      const entity = this.table.entityAt(slot);
      if (entity === undefined || (accept !== undefined && !accept(entity))) continue;
      best.add(entity, this.table.similarity(slot, query));
    }
    return best;
  }

  /**
   * Undefined when there is no graph, or when it did not find as many as were asked for. The filter sees only what the
   * graph found: inside hnswlib a filter that takes few vectors makes it walk the whole graph, dearer than the scan.
   */
  private search(query: Float64Array, limit: number, accept?: (entity: number) => boolean): TopScores | undefined {
    const { graph, table } = this;
    const wanted = accept === undefined ? limit : limit * FILTERED_FACTOR;
    if (graph === undefined || wanted * 2 > table.size) return undefined;
    const best = new TopScores(limit);
    let found = 0;
    for (const slot of graph.nearest(query, wanted)) {
      const entity = table.entityAt(slot)!;
      if (accept !== undefined && !accept(entity)) continue;
      best.add(entity, table.similarity(slot, query));
      found++;
    }
    if (found < limit) return undefined;
    for (const slot of this.zeroSlots) {
      const entity = table.entityAt(slot)!;
      if (accept === undefined || accept(entity)) best.add(entity, 0);
    }
    return best;
  }

  /** Takes the entity's vector out of everything; whether there was one. */
  private drop(entity: number): boolean {
    const slot = this.table.remove(entity);
    if (slot === undefined) return false;
    this.zeroSlots.delete(slot);
    this.graph?.remove(slot);
    this.filling?.graph.remove(slot);
    return true;
  }

  /** After each change: begins a graph where one is due, fills the one begun, gives up the one not needed. */
  private maintain(): void {
    const { table } = this;
    if (table.size <= this.exactLimit / 2) {
      this.graph = undefined;
      this.filling = undefined;
      return;
    }
    const isDue = this.graph === undefined ? table.size > this.exactLimit : this.graph.deleted > this.graph.live;
    if (this.filling === undefined && isDue) {
      const graph = new VectorGraph({ dimensions: table.dimensions, capacity: 2 * table.size });
      this.filling = { graph, cursor: 0 };
    }
    if (this.filling !== undefined) this.fill(this.filling);
  }

  private fill(filling: { readonly graph: VectorGraph; cursor: number }): void {
    const { table } = this;
    for (let added = 0; added < FILL_STEP && filling.cursor < table.slotLimit; filling.cursor++) {
      const slot = filling.cursor;
      if (table.entityAt(slot) === undefined || this.zeroSlots.has(slot)) continue;
      filling.graph.add(slot, table.vectorAt(slot));
      added++;
    }
    if (filling.cursor < table.slotLimit) return;
    this.graph = filling.graph;
    this.filling = undefined;
  }
}
