/**
 * The sums that profiles read from the ledger: over a window, of one signal by name or of all signals of one sentiment; of an
 * item, or as a maximum over items within limits. A signal that the schema does not declare, or not with that window, contributes
 * 0.
 */
import { assert } from '../../../shared/kernel/kernel.ts';
import type { Schema, Window } from '../schema/schema.ts';
import { windowSeconds, windows } from '../schema/schema.ts';
import type { LedgerView, SignalView } from '../state/ledger/ledger.ts';
import type { Limits } from './scorer.ts';

/** Minimum age for a velocity over `all`, seconds, so that a new item's first view does not count as a burst. */
const SHORTEST_LIFE_SECONDS = 3_600;

interface Signal {
  readonly name: string;
  readonly windows: readonly Window[];
  /** Its index in the schema's signals. */
  readonly place: number;
  readonly view: SignalView;
}

/** Signals that are added up, each only if it is ranked by the window. */
class Total {
  private readonly byWindow = new Map<Window, readonly Signal[]>();

  constructor(signals: readonly Signal[]) {
    for (const window of windows) {
      const ranked = signals.filter(({ windows }) => windows.includes(window));
      this.byWindow.set(window, ranked);
    }
  }

  of(entity: number, window: Window, atMs: number): number {
    let total = 0;
    for (const { view } of this.byWindow.get(window)!) total += view.sum(entity, window, atMs);
    return total;
  }

  /** Over `all`. */
  min(limits: Limits): number {
    let total = 0;
    for (const { place } of this.byWindow.get('all')!) total += limits.min(place);
    return total;
  }

  max(limits: Limits, window: Window): number {
    let total = 0;
    for (const { place } of this.byWindow.get(window)!) total += limits.sum(place, window);
    return total;
  }
}

const NOTHING = new Total([]);

export class SignalSums {
  private readonly single = new Map<string, Total>();
  private readonly positives: Total;
  private readonly negatives: Total;
  private readonly approvals: Total;
  /** Whether every positive signal that is ranked by `1h` is ranked by `24h` too. */
  readonly dayHasHour: boolean;

  constructor({ schema, ledger }: { schema: Pick<Schema, 'signals'>; ledger: Pick<LedgerView, 'signal'> }) {
    const definitions = [...schema.signals.values()].map((definition, place) => {
      const view = ledger.signal(definition.name);
      assert(view !== undefined, 'the ledger has the signals of the schema', () => definition.name);
      return { ...definition, place, view };
    });
    for (const signal of definitions) this.single.set(signal.name, new Total([signal]));
    // By name, so that float additions happen in one order in every region.
    const sorted = [...definitions].sort((a, b) => (a.name < b.name ? -1 : 1));
    this.positives = new Total(sorted.filter(({ sentiment }) => sentiment === 'positive'));
    this.negatives = new Total(sorted.filter(({ sentiment }) => sentiment === 'negative'));
    this.approvals = new Total(sorted.filter(({ name, sentiment }) => sentiment === 'positive' && name !== 'view'));
    this.dayHasHour = sorted.every(
      ({ sentiment, windows }) => sentiment === 'negative' || !windows.includes('1h') || windows.includes('24h'),
    );
  }

  of(signal: string, entity: number, window: Window, atMs: number): number {
    return this.totalOf(signal).of(entity, window, atMs);
  }

  maxOf(signal: string, limits: Limits, window: Window): number {
    return this.totalOf(signal).max(limits, window);
  }

  /** Minimum of the signal over `all`, over the items that ever had a signal. */
  minOf(signal: string, limits: Limits): number {
    return this.totalOf(signal).min(limits);
  }

  positive(entity: number, window: Window, atMs: number): number {
    return this.positives.of(entity, window, atMs);
  }

  maxPositive(limits: Limits, window: Window): number {
    return this.positives.max(limits, window);
  }

  negative(entity: number, window: Window, atMs: number): number {
    return this.negatives.of(entity, window, atMs);
  }

  maxNegative(limits: Limits, window: Window): number {
    return this.negatives.max(limits, window);
  }

  /** All positive signals except `view`, which is not an opinion. */
  approving(entity: number, window: Window, atMs: number): number {
    return this.approvals.of(entity, window, atMs);
  }

  maxApproving(limits: Limits, window: Window): number {
    return this.approvals.max(limits, window);
  }

  /** Windowed sum / window seconds; over `all`, the sum / seconds since the item was created. */
  velocity(signal: string, { entity, createdMs }: Aged, window: Window, atMs: number): number {
    return this.of(signal, entity, window, atMs) / spanSeconds(window, createdMs, atMs);
  }

  maxVelocity(signal: string, limits: Limits, window: Window, atMs: number): number {
    return this.maxOf(signal, limits, window) / spanSeconds(window, limits.newestMs, atMs);
  }

  private totalOf(signal: string): Total {
    return this.single.get(signal) ?? NOTHING;
  }
}

/** An item by its id and creation time. */
export interface Aged {
  readonly entity: number;
  readonly createdMs: number;
}

function spanSeconds(window: Window, createdMs: number, atMs: number): number {
  return window === 'all' ? Math.max((atMs - createdMs) / 1000, SHORTEST_LIFE_SECONDS) : windowSeconds[window];
}
