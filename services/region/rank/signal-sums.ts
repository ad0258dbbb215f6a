/**
 * What profiles read from the ledger: sums over a window, of one signal by name or of all signals of one sentiment. A
 * signal the schema lacks, or does not rank by that window, contributes 0.
 */
import type { Schema, SignalDefinition, Window } from '../../../shared/schema/schema.ts';
import { windowSeconds } from '../../../shared/schema/schema.ts';
import type { Item } from '../state/catalog/catalog.ts';
import type { Ledger } from '../state/ledger/ledger.ts';

/** The shortest life a velocity over `all` is spread over, seconds: a new item's first view is no burst. */
const SHORTEST_LIFE_SECONDS = 3_600;

export class SignalSums {
  private readonly schema: Schema;
  private readonly ledger: Ledger;
  private readonly positives: readonly SignalDefinition[];
  private readonly negatives: readonly SignalDefinition[];
  private readonly approvals: readonly SignalDefinition[];

  constructor(options: { schema: Schema; ledger: Ledger }) {
    this.schema = options.schema;
    this.ledger = options.ledger;
    // By name, so that float additions happen in one order in every region.
    const definitions = [...this.schema.signals.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
    this.positives = definitions.filter(({ sentiment }) => sentiment === 'positive');
    this.negatives = definitions.filter(({ sentiment }) => sentiment === 'negative');
    this.approvals = this.positives.filter(({ name }) => name !== 'view');
  }

  of(signal: string, entity: number, window: Window, atMs: number): number {
    const definition = this.schema.signals.get(signal);
    return definition === undefined ? 0 : this.sum(definition, entity, window, atMs);
  }

  positive(entity: number, window: Window, atMs: number): number {
    return this.total(this.positives, entity, window, atMs);
  }

  negative(entity: number, window: Window, atMs: number): number {
    return this.total(this.negatives, entity, window, atMs);
  }

  /** All positive signals but `view`: that an item was seen says nothing for it. */
  approving(entity: number, window: Window, atMs: number): number {
    return this.total(this.approvals, entity, window, atMs);
  }

  /** Windowed sum / window seconds; over `all`, the sum / seconds since the item was created. */
  velocity(signal: string, item: Pick<Item, 'entity' | 'createdMs'>, window: Window, atMs: number): number {
    const seconds =
      window === 'all' ? Math.max((atMs - item.createdMs) / 1000, SHORTEST_LIFE_SECONDS) : windowSeconds[window];
    return this.of(signal, item.entity, window, atMs) / seconds;
  }

  private total(definitions: readonly SignalDefinition[], entity: number, window: Window, atMs: number): number {
    let total = 0;
    for (const definition of definitions) total += this.sum(definition, entity, window, atMs);
    return total;
  }

  private sum(definition: SignalDefinition, entity: number, window: Window, atMs: number): number {
    return definition.windows.includes(window) ? this.ledger.sum(entity, definition.name, window, atMs) : 0;
  }
}
