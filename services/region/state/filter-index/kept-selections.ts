/**
 * Selections that were combined, for reads that ask for them again: an item that is indexed meanwhile is tested alone, so that
 * neither a write nor a page of a long read makes one be combined anew.
 */

import { compileFilters, type Filter, type MetadataTest } from '../../filter/filter.ts';
import { canonicalText } from '../../filter/grammar/grammar.ts';
import { Unfinished } from '../../read-queue/read-queue.ts';
import { combine, type IndexedSets, type Steps, storedSelection } from './combining.ts';
import type { Selecting, Selection } from './filter-index.ts';
import { changed } from './selections.ts';

/** Number of combined selections that are kept. */
const KEPT = 16;
/** Beyond this many changes a selection is combined anew. */
const CHANGES_LIMIT = 8_192;
/** Items tested in one step. */
const TESTED_AT_ONCE = 32;

/** A combined selection. */
interface Kept {
  readonly filters: readonly Filter[];
  test: MetadataTest | undefined;
  /** Undefined: not combined yet. */
  selection: Selection | undefined;
  /** The changes that it contains. */
  changes: number;
}

export class KeptSelections {
  private readonly index: IndexedSets;
  /** By filters; the one that was used last is the last. */
  private readonly kept = new Map<string, Kept>();
  /** Ordinals that changed, the latest ones of all. */
  private log: number[] = [];
  private changes = 0;

  constructor(index: IndexedSets) {
    this.index = index;
  }

  /** Called with every item that was indexed or removed. */
  changed(ordinal: number): void {
    this.changes++;
    if (this.log.length === CHANGES_LIMIT) this.log = [];
    this.log.push(ordinal);
  }

  select(filters: readonly Filter[]): Selection {
    const stored = storedSelection(this.index, filters);
    if (stored !== undefined) return stored;
    const steps = this.bring(this.find(filters));
    for (;;) {
      const step = steps.next();
      if (step.done === true) return step.value;
    }
  }

  selecting(filters: readonly Filter[]): Selecting {
    const { index } = this;
    const kept = this.find(filters);
    let steps: Steps<Selection> | undefined;
    const step = (over: () => boolean): Selection | undefined => {
      const stored = storedSelection(index, filters);
      if (stored !== undefined) return stored;
      steps ??= this.bring(kept);
      for (;;) {
        const { done, value } = steps.next();
        if (done === true) {
          steps = undefined;
          return value;
        }
        if (over()) return undefined;
      }
    };
    return {
      step: (over) => step(over) !== undefined,
      now(over = () => false) {
        const selection = step(over);
        if (selection === undefined) throw new Unfinished(this);
        return selection;
      },
    };
  }

  private find(filters: readonly Filter[]): Kept {
    const key = canonicalText(filters);
    const known = this.kept.get(key);
    this.kept.delete(key);
    const kept = known ?? { filters, test: undefined, selection: undefined, changes: 0 };
    this.kept.set(key, kept);
    if (this.kept.size > KEPT) this.kept.delete(this.kept.keys().next().value!);
    return kept;
  }

  /** Combines it, or tests what changed since. */
  private *bring(kept: Kept): Steps<Selection> {
    for (;;) {
      if (kept.selection === undefined || !this.knows(kept.changes)) {
        const { changes } = this;
        const selection = yield* combine(this.index, kept.filters);
        if (!this.knows(changes)) continue;
        kept.selection = selection;
        kept.changes = changes;
      }
      if (yield* this.catchUp(kept)) return kept.selection;
    }
  }

  /** False if there were too many changes meanwhile. */
  private *catchUp(kept: Kept): Steps<boolean> {
    const { index } = this;
    for (let tested = 1; kept.changes < this.changes; tested++) {
      const ordinal = this.log[this.log.length - (this.changes - kept.changes)]!;
      kept.test ??= compileFilters(kept.filters);
      const passes = index.live.has(ordinal) && kept.test(index.metadataOf(ordinal)!);
      kept.selection = changed(kept.selection!, ordinal, passes);
      kept.changes++;
      if (tested % TESTED_AT_ONCE !== 0) continue;
      yield;
      if (!this.knows(kept.changes)) return false;
    }
    return true;
  }

  private knows(changes: number): boolean {
    return this.changes - changes <= this.log.length;
  }
}
