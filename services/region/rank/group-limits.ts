/** Limits of groups of items and of single items, as the scorers' bounds take them. */
import { byWindow, type Window } from '../schema/schema.ts';
import { indexIn, type NodePage, type UpperBounds } from '../state/upper-bounds/upper-bounds.ts';
import type { Limits } from './scorer.ts';

/** A decayed score from its sort key is off by 1e-8 of it at most. */
const DECAY_SLACK = 1 + 1e-7;

/** The limits of one node after the other. */
export class NodeLimits implements Limits {
  newestMs = -1;
  newestActiveMs = -1;
  private page: NodePage;
  private node = 0;
  private readonly upperBounds: UpperBounds;
  private readonly atMs: number;
  /** Minima are over all events: in the past an item may have had less. */
  private readonly past: boolean;
  private readonly columns: Readonly<Record<Window, number>>;

  constructor(upperBounds: UpperBounds, atMs: number, past: boolean) {
    this.upperBounds = upperBounds;
    this.past = past;
    this.page = upperBounds.page(0, 0);
    this.atMs = atMs;
    this.columns = byWindow((window) => upperBounds.columnOf(window, atMs));
  }

  of(page: NodePage, node: number, newestMs: number): this {
    this.page = page;
    this.node = node;
    this.newestMs = newestMs;
    this.newestActiveMs = page.newestActiveMs[indexIn(node)]!;
    return this;
  }

  sum(signal: number, window: Window): number {
    return this.upperBounds.sum(this.page, this.node, signal, this.columns[window]);
  }

  min(signal: number): number {
    return this.past ? 0 : this.upperBounds.lowest(this.page, this.node, signal);
  }

  decayed(signal: number): number {
    return this.upperBounds.decayed(this.page, this.node, signal, this.atMs) * DECAY_SLACK;
  }
}

/** The limits of one item, from its magnitude. No window exceeds the total. */
export class ItemLimits implements Limits {
  newestMs = -1;
  newestActiveMs = -1;
  private ordinal = 0;
  private readonly upperBounds: UpperBounds;
  private readonly past: boolean;

  constructor(upperBounds: UpperBounds, past: boolean) {
    this.upperBounds = upperBounds;
    this.past = past;
  }

  of(ordinal: number, createdMs: number, active: boolean): this {
    this.ordinal = ordinal;
    this.newestMs = createdMs;
    this.newestActiveMs = active ? createdMs : -1;
    return this;
  }

  sum(signal: number): number {
    return this.upperBounds.magnitudes.atMost(this.ordinal, signal);
  }

  min(signal: number): number {
    return this.past ? 0 : this.upperBounds.magnitudes.atLeast(this.ordinal, signal);
  }

  decayed(): number {
    return Number.POSITIVE_INFINITY;
  }
}
