/** A whole result in another order than its own. */
import type { Steps } from '../../../shared/kernel/steps.ts';
import { compareScored, type Matches, type Ranking, type RankKey, type Scored } from '../scored/scored.ts';
import type { RunSteps } from '../state/text/text.ts';
import { orderOf, orderWithin, type Sortable, type SortKey } from './sort.ts';

/** Items of one step. */
const ITEMS_A_STEP = 64;
/** Minimum number found once more is requested than was found. */
const FURTHER = 2_048;

export interface SortedOptions {
  readonly matches: Matches;
  readonly keys: readonly SortKey[];
  readonly sortableOf: (ordinal: number, score: number) => Sortable;
  readonly run: RunSteps;
}

/** Sorts as far as it is read: a page costs one pass over the result. */
export class SortedRanking implements Ranking {
  private readonly options: SortedOptions;
  private from: RankKey | undefined;
  /** The first after `from`; `isComplete`: there are no further ones. */
  private found: readonly Scored[] | undefined;
  private isComplete = false;

  constructor(options: SortedOptions) {
    this.options = options;
  }

  get total(): number {
    return this.options.matches.ordinals.length;
  }

  after(key: RankKey | undefined, limit: number): readonly Scored[] {
    const kept = this.kept(key, limit);
    if (kept !== undefined) return kept;
    const wanted = this.found === undefined ? limit : Math.max(limit, FURTHER);
    const id = JSON.stringify(['sorted', key?.order, key?.entity, wanted]);
    const best = this.options.run(id, () => this.finding(key, wanted));
    this.found = best;
    this.from = key;
    this.isComplete = best.length < wanted;
    return best.slice(0, limit);
  }

  private kept(key: RankKey | undefined, limit: number): readonly Scored[] | undefined {
    const { found, from } = this;
    if (found === undefined) return undefined;
    if (from !== undefined && (key === undefined || compareScored(key, from) < 0)) return undefined;
    let start = 0;
    if (key !== undefined) while (start < found.length && compareScored(found[start]!, key) <= 0) start++;
    return this.isComplete || start + limit <= found.length ? found.slice(start, start + limit) : undefined;
  }

  private *finding(after: RankKey | undefined, limit: number): Steps<readonly Scored[]> {
    const { matches, keys, sortableOf } = this.options;
    const { ordinals, scores } = matches;
    let best: Scored[] = [];
    let last: Scored | undefined;
    const shorten = (): void => {
      best = best.sort(compareScored).slice(0, limit);
      if (best.length === limit) last = best.at(-1);
    };
    for (let at = 0; at < ordinals.length; at++) {
      const item = sortableOf(ordinals[at]!, scores?.[at] ?? 0);
      const order = last === undefined ? orderOf(keys, item) : orderWithin(keys, item, last.order!);
      if (order !== undefined) {
        const scored = { entity: item.entity, score: item.score, order };
        if (after === undefined || compareScored(after, scored) < 0) best.push(scored);
        if (best.length >= 2 * limit + 64) shorten();
      }
      if ((at + 1) % ITEMS_A_STEP === 0) yield;
    }
    shorten();
    return best;
  }
}
