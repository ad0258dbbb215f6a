/** Searches that take more than one turn, and the state that their reads keep from turn to turn. */
import { Unfinished, type Work } from '../read-queue/read-queue.ts';
import type { Changes, Watch } from '../state/changes/changes.ts';
import type { Selection } from '../state/filter-index/filter-index.ts';
import type { Doubt, Past } from '../state/ledger/ledger.ts';

/**
 * Number of written items that are scored again at once, whatever the slice, because a busy region would otherwise never answer.
 */
const AT_ONCE = 256;

export interface SlicedParts {
  readonly changes: Changes;
  readonly pastLedger: Past;
  readonly past: boolean;
}

/** The searches of one read so far. */
export class SearchSlices {
  readonly over: () => boolean;
  private readonly byId = new Map<string, Sliced>();

  constructor(over: () => boolean) {
    this.over = over;
  }

  find<T extends Sliced>(id: string, create: () => T): T {
    const known = this.byId.get(id) as T | undefined;
    if (known !== undefined) return known;
    const created = create();
    this.byId.set(id, created);
    return created;
  }

  /** Called before the turn ends: writes may follow. */
  suspend(): void {
    for (const sliced of this.byId.values()) sliced.suspend();
  }

  end(): void {
    for (const sliced of this.byId.values()) sliced.end();
    this.byId.clear();
  }
}

/** A computation over all items, which stays right while items are written to between its slices. */
export abstract class Sliced implements Work {
  private readonly base: SlicedParts;
  /** Of the turn in which it began; a copy since it was suspended. */
  protected selection: Selection | undefined;
  private watch: Watch | undefined;
  private readonly written = new Set<number>();
  private doubt: Doubt | undefined;
  private isDone = false;

  constructor(parts: SlicedParts, selection: Selection | undefined) {
    this.base = parts;
    this.selection = selection;
  }

  /** Continues; true once every item was scored or excluded. */
  protected abstract advance(over: () => boolean): boolean;
  /** Scores an item again that was written to. `selection`: of this turn. */
  protected abstract refresh(entity: number, selection: Selection | undefined): void;
  /** Called after all refreshes: false if it has to begin anew. */
  protected abstract isExact(): boolean;
  protected abstract restart(): void;

  /** Throws `Unfinished` if it takes longer than the slice; without slices it is done when this returns. */
  finish(selection: Selection | undefined, slices: SearchSlices | undefined): void {
    const over = slices?.over ?? never;
    const isDone = this.step(over) && this.refreshAll(selection, over);
    if (!isDone) {
      slices!.suspend();
      throw new Unfinished(this);
    }
    if (this.doubt !== undefined) this.base.pastLedger.include(this.doubt);
  }

  step(over: () => boolean): boolean {
    if (this.isDone) return true;
    if (!this.base.past) this.isDone = this.advance(over);
    else {
      const { value, doubt } = this.base.pastLedger.watch(() => this.advance(over), this.doubt);
      this.isDone = value;
      this.doubt = doubt;
    }
    return this.isDone;
  }

  private refreshAll(selection: Selection | undefined, over: () => boolean): boolean {
    if (this.watch === undefined) return true;
    if (!this.watch.take(this.written)) return this.beginAnew(selection, over);
    let looked = 0;
    for (const entity of this.written) {
      if (++looked > AT_ONCE && over()) return false;
      this.written.delete(entity);
      this.refresh(entity, selection);
    }
    return this.isExact() || this.beginAnew(selection, over);
  }

  private beginAnew(selection: Selection | undefined, over: () => boolean): boolean {
    this.end();
    this.selection = selection;
    this.isDone = false;
    this.restart();
    return this.step(over);
  }

  suspend(): void {
    if (this.watch !== undefined) return;
    this.watch = this.base.changes.watch();
    this.selection = this.selection?.kept();
  }

  end(): void {
    this.watch?.end();
    this.watch = undefined;
    this.written.clear();
  }
}

function never(): boolean {
  return false;
}
