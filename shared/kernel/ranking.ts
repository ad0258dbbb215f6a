/** What is ranked, whatever by: feeds, text hits and fused results page through it in one way. */
import { compareScored, type Scored } from './top-scores.ts';

/**
 * A place in a ranking: the score, the tie and the entity of one that stands there, in the order of `compareScored`, so that
 * a place means the same while others come and go.
 */
export type RankKey = Scored;

/** One answer's worth of something ranked: it stays as it is until it is dropped, and is dropped before the next write. */
export interface Ranking {
  /** How many are ranked in all. */
  readonly total: number;
  /** The first `limit` that rank after `key` (undefined: from the top), best first; fewer: there are no more. */
  after(key: RankKey | undefined, limit: number): readonly Scored[];
}

/** What one term of a formula gave to a score. The parts of an item add up to its score within rounding. */
export interface ScorePart {
  /** What was measured, e.g. `view velocity 24h` or `title:jazz`. */
  readonly term: string;
  /** The measurement, before its weight. */
  readonly value: number;
  readonly weight: number;
  /** What of the score it made. */
  readonly part: number;
}

/** A ranking that is an array already, best first. */
export function rankingOf(best: readonly Scored[], total: number = best.length): Ranking {
  return {
    total,
    after(key, limit) {
      let start = 0;
      for (let end = key === undefined ? 0 : best.length; key !== undefined && start < end; ) {
        const middle = (start + end) >> 1;
        if (compareScored(key, best[middle]!) < 0) end = middle;
        else start = middle + 1;
      }
      return best.slice(start, start + limit);
    },
  };
}
