/**
 * The entities that were written to during a read that takes several turns of the event loop: their scores are computed again
 * before the answer. Costs nothing without such a read.
 */

/** Beyond this many recorded writes every watch begins anew, because a read then costs as much as its repetition. */
const LOG_LIMIT = 1_000_000;
/** Writes that every watch has read are dropped once they are this many. */
const DROPPED_LEAST = 65_536;

/** The writes since it began, or since they were last taken. */
export interface Watch {
  /** Adds the entities to `into`; false if they are no longer known: everything may have changed. */
  take(into: Set<number>): boolean;
  end(): void;
}

export class Changes {
  private log: number[] = [];
  /** Writes dropped from the beginning of the log. */
  private dropped = 0;
  private readonly watches = new Set<{ next: number }>();

  note(entity: number): void {
    if (this.watches.size === 0) return;
    this.log.push(entity);
    if (this.log.length % DROPPED_LEAST === 0) this.drop();
  }

  watch(): Watch {
    const place = { next: this.dropped + this.log.length };
    this.watches.add(place);
    return {
      take: (into) => {
        const isKnown = place.next >= this.dropped;
        for (let at = Math.max(0, place.next - this.dropped); at < this.log.length; at++) into.add(this.log[at]!);
        place.next = this.dropped + this.log.length;
        return isKnown;
      },
      end: () => {
        this.watches.delete(place);
        if (this.watches.size === 0) this.clear();
      },
    };
  }

  private drop(): void {
    if (this.log.length >= LOG_LIMIT) {
      this.clear();
      return;
    }
    let first = this.dropped + this.log.length;
    for (const { next } of this.watches) first = Math.min(first, Math.max(next, this.dropped));
    if (first - this.dropped < DROPPED_LEAST) return;
    this.log = this.log.slice(first - this.dropped);
    this.dropped = first;
  }

  private clear(): void {
    this.dropped += this.log.length;
    this.log = [];
  }
}
