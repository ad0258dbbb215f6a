/**
 * The vector index itself, independent of its thread: a table that is scanned while it is small, and a graph over it beyond
 * `exactLimit`. Everything here is synchronous and bounded: {@link VectorIndex.work} does one step of background work.
 *
 * Promise: an answer reflects every put and removal at once; similarities are always computed from the table, so they do not
 * depend on how a vector was found. Vectors that the graph does not have yet are scanned in addition. When half of a graph is
 * deleted a new one is built, and replaces it when it is complete.
 *
 * Vectors of length 0 have no direction: their similarity to everything is 0.
 */
import { assert } from '../../../../shared/kernel/kernel.ts';
import { type Scored, TopScores } from '../../scored/scored.ts';
import { isZero, unit } from './cosine.ts';
import { GraphCover } from './graph-cover.ts';
import { DELETED, type GraphLabels } from './vector-file.ts';
import { graphsMissing, VectorGraph } from './vector-graph.ts';
import { VectorTable } from './vector-table.ts';
import type { Among } from './vector-worker.ts';

/** Up to this number a scan is fast enough, and exact. Without graphs everything is scanned. */
const EXACT_LIMIT = graphsMissing === undefined ? 4_000 : Number.POSITIVE_INFINITY;
/** Vectors that one `work` adds to a graph: about a millisecond. */
const STEP = 4;
/**
 * With a filter a graph visits 1/share as many vectors, each with a call; the scan visits the selected share. The graph is
 * estimated to be cheaper from `count`² > `FILTER_COST` · candidates · live vectors on: test/bench/vectors.bench.ts has a filter
 * on either side of it.
 */
const FILTER_COST = 60;
const FILTER_WIDTH = 96;

export interface VectorIndexOptions {
  readonly dimensions: number;
  /** More vectors than this are searched by graph; absent: 4,000, or any number where there are no graphs. */
  readonly exactLimit?: number | undefined;
}

export interface Nearest {
  /** Nearest first, ties by entity id. */
  readonly hits: readonly Scored[];
  /** True if there are no further ones. */
  readonly whole: boolean;
}

export class VectorIndex {
  private readonly exactLimit: number;
  private readonly table: VectorTable;
  private readonly zeros = new Set<number>();
  private serving: GraphCover | undefined;
  /** Replaces `serving` once it is complete. */
  private fresh: GraphCover | undefined;
  /** Grows with every vector that enters or leaves the graph. */
  revision = 0;

  constructor({ dimensions, exactLimit = EXACT_LIMIT }: VectorIndexOptions) {
    this.exactLimit = exactLimit;
    this.table = new VectorTable(dimensions);
  }

  get live(): number {
    return this.table.size;
  }

  get graphed(): number {
    return this.serving?.graph.live ?? 0;
  }

  get deleted(): number {
    return this.serving?.graph.deleted ?? 0;
  }

  put(ordinal: number, entity: number, values: Float32Array): void {
    const { table } = this;
    assert(values.length === table.dimensions, 'a vector has the dimensions of the schema', () => values.length);
    this.remove(ordinal);
    const slot = table.add(ordinal, entity, values);
    if (isZero(table.vectorAt(slot))) {
      this.zeros.add(slot);
      return;
    }
    this.serving?.put(slot);
    this.fresh?.put(slot);
  }

  /** Idempotent. */
  remove(ordinal: number): void {
    const slot = this.table.remove(ordinal);
    if (slot === undefined) return;
    this.zeros.delete(slot);
    if (this.serving?.graph.has(slot)) this.revision++;
    this.serving?.remove(slot);
    this.fresh?.remove(slot);
  }

  nearest(values: Float32Array, limit: number, among?: Among): Nearest {
    const { table, serving, exactLimit } = this;
    assert(values.length === table.dimensions, 'a query has the dimensions of the schema', () => values.length);
    assert(limit >= 1, 'a search asks for at least one hit', () => limit);
    const query = unit(values);
    if (among !== undefined && 'ordinals' in among) return this.scanOrdinals(query, limit, among.ordinals);
    const accept = among === undefined ? undefined : accepting(among.words, table);
    // All vectors are equally near to one without direction: a graph does not find the lowest ids.
    if (serving === undefined || table.size <= exactLimit || 2 * limit > serving.graph.live || isZero(query)) {
      return this.scan(query, limit, accept);
    }
    if (among !== undefined) {
      const width = Math.max(limit, FILTER_WIDTH);
      if (among.count ** 2 <= FILTER_COST * width * table.size) return this.scan(query, limit, accept);
    }
    const found = serving.graph.nearest(query, limit, accept);
    if (found.length < limit) return this.scan(query, limit, accept);
    const best = new TopScores(limit);
    const look = (slot: number): void => {
      if (accept === undefined || accept(slot)) best.add(table.entityAt(slot)!, table.similarity(slot, query));
    };
    for (const slot of found) best.add(table.entityAt(slot)!, table.similarity(slot, query));
    serving.forEachUncovered(look);
    for (const slot of this.zeros) look(slot);
    return { hits: best.sorted(), whole: false };
  }

  /** Does one step of background work; false if there is none. */
  work(): boolean {
    const { table, exactLimit } = this;
    if (table.size <= exactLimit / 2) {
      if (this.serving !== undefined) this.revision++;
      this.serving = undefined;
      this.fresh = undefined;
      return false;
    }
    if (this.serving === undefined) {
      if (table.size <= exactLimit) return false;
      this.serving = this.emptyCover();
    }
    const { serving } = this;
    if (this.fresh === undefined && serving.graph.deleted > serving.graph.live) this.fresh = this.emptyCover();
    if (this.fresh !== undefined) {
      this.fresh.grow(STEP);
      if (this.fresh.complete) {
        this.serving = this.fresh;
        this.fresh = undefined;
        this.revision += this.serving.graph.live;
      }
      return true;
    }
    if (!serving.graph.open) return false;
    this.revision += serving.grow(STEP);
    return !serving.complete;
  }

  /** The graph, and its description for a file; undefined if there is none. */
  saved(): { readonly graph: VectorGraph; readonly labels: GraphLabels } | undefined {
    const { table } = this;
    const graph = this.serving?.graph;
    if (graph === undefined || graph.live === 0) return undefined;
    const slots = graph.slotsByLabel;
    const entities = new Float64Array(slots.length).fill(DELETED);
    const prints = new Uint32Array(2 * slots.length);
    for (const [label, slot] of slots.entries()) {
      if (slot < 0) continue;
      entities[label] = table.entityAt(slot)!;
      prints.set(table.printAt(slot), 2 * label);
    }
    return { graph, labels: { entities, prints } };
  }

  /**
   * Adopts a graph that was read: keeps the vectors that the table has as well, bit for bit. Returns their number; 0 without
   * adopting it if no graph is due.
   */
  adopt(graph: VectorGraph, { entities, prints }: GraphLabels): number {
    const { table } = this;
    if (table.size <= this.exactLimit) return 0;
    const slotOf = new Map<number, number>();
    for (let slot = 0; slot < table.slotLimit; slot++) {
      const entity = table.entityAt(slot);
      if (entity !== undefined && !this.zeros.has(slot)) slotOf.set(entity, slot);
    }
    for (const [label, entity] of entities.entries()) {
      if (entity === DELETED) continue;
      const slot = slotOf.get(entity);
      const [low, high] = slot === undefined ? [] : table.printAt(slot);
      const same = low === prints[2 * label] && high === prints[2 * label + 1];
      if (slot !== undefined && same) graph.adopt(label, slot);
      else graph.drop(label);
    }
    const cover = new GraphCover({ graph, table, zeros: this.zeros });
    cover.coverAll();
    this.serving = cover;
    this.fresh = undefined;
    return graph.live;
  }

  private emptyCover(): GraphCover {
    const { table, zeros } = this;
    const graph = VectorGraph.empty({ dimensions: table.dimensions, capacity: 2 * table.size });
    return new GraphCover({ graph, table, zeros });
  }

  private scan(query: Float64Array, limit: number, accept?: (slot: number) => boolean): Nearest {
    const { table } = this;
    const best = new TopScores(limit);
    let seen = 0;
    for (let slot = 0; slot < table.slotLimit; slot++) {
      const entity = table.entityAt(slot);
      if (entity === undefined || (accept !== undefined && !accept(slot))) continue;
      best.add(entity, table.similarity(slot, query));
      seen++;
    }
    return { hits: best.sorted(), whole: seen <= limit };
  }

  private scanOrdinals(query: Float64Array, limit: number, ordinals: Uint32Array): Nearest {
    const { table } = this;
    const best = new TopScores(limit);
    let seen = 0;
    for (const ordinal of ordinals) {
      const slot = table.slotAt(ordinal);
      if (slot === undefined) continue;
      best.add(table.entityAt(slot)!, table.similarity(slot, query));
      seen++;
    }
    return { hits: best.sorted(), whole: seen <= limit };
  }
}

function accepting(words: Int32Array, table: VectorTable): (slot: number) => boolean {
  return (slot) => {
    const ordinal = table.ordinalAt(slot);
    return ordinal >> 5 < words.length && (words[ordinal >> 5]! & (1 << (ordinal & 31))) !== 0;
  };
}
