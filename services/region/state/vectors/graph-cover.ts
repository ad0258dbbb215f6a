/**
 * A graph and the slots of the table that it does not cover yet: those from `cursor` on, and a few below. Uncovered slots are
 * scanned, so a graph may be used while it grows by a few vectors at a time.
 */
import type { VectorGraph } from './vector-graph.ts';
import type { VectorTable } from './vector-table.ts';

export interface GraphCoverOptions {
  readonly graph: VectorGraph;
  readonly table: VectorTable;
  /** Slots that are not added: vectors of length 0 have no direction, and would break the graph's paths. */
  readonly zeros: ReadonlySet<number>;
}

export class GraphCover {
  readonly graph: VectorGraph;
  private readonly table: VectorTable;
  private readonly zeros: ReadonlySet<number>;
  private cursor = 0;
  private readonly missing = new Set<number>();

  constructor({ graph, table, zeros }: GraphCoverOptions) {
    this.graph = graph;
    this.table = table;
    this.zeros = zeros;
  }

  /** Called when the slot has a new vector, of length 1. */
  put(slot: number): void {
    if (slot < this.cursor) this.missing.add(slot);
  }

  remove(slot: number): void {
    this.missing.delete(slot);
    this.graph.remove(slot);
  }

  /** Called when the graph was read from a file: the slots that it has and lacks are known. */
  coverAll(): void {
    const { table } = this;
    for (this.cursor = 0; this.cursor < table.slotLimit; this.cursor++) {
      if (this.wants(this.cursor)) this.missing.add(this.cursor);
    }
  }

  get complete(): boolean {
    return this.missing.size === 0 && this.cursor >= this.table.slotLimit;
  }

  /** Adds about `count` vectors; returns how many. */
  grow(count: number): number {
    const { graph, table, missing } = this;
    let added = 0;
    for (const slot of missing) {
      if (added === count) return added;
      missing.delete(slot);
      graph.add(slot, table.vectorAt(slot));
      added++;
    }
    for (; added < count && this.cursor < table.slotLimit; this.cursor++) {
      if (!this.wants(this.cursor)) continue;
      graph.add(this.cursor, table.vectorAt(this.cursor));
      added++;
    }
    return added;
  }

  /** Slots with a vector of length 1 that the graph lacks. */
  forEachUncovered(visit: (slot: number) => void): void {
    for (const slot of this.missing) visit(slot);
    for (let slot = this.cursor; slot < this.table.slotLimit; slot++) if (this.wants(slot)) visit(slot);
  }

  private wants(slot: number): boolean {
    return this.table.entityAt(slot) !== undefined && !this.zeros.has(slot) && !this.graph.has(slot);
  }
}
