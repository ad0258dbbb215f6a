/**
 * A search that also weighs what people do: its scores multiplied by how well the items do by a profile.
 *
 *     score = text · (1 + weight · norm)        norm = (p − lowest) / (highest − lowest)
 *
 * `text` is the score of the search (1 for each item if it has none), p the item's score by the profile at the read time, lowest
 * and highest those of the result on its first page, which cursors carry on: so the score of an item that is not written to stays
 * the same. norm is within 0 … 1, and 0 for an item that the profile does not rank, and where all are equal. Every match is scored,
 * in slices: the order is exact.
 */
import { finish, type Steps } from '../../../../shared/kernel/steps.ts';
import type { ScoreRange } from '../../pages/pages.ts';
import type { Blending } from '../../query/query.ts';
import type { Rank, RankingQuery, ReadTime } from '../../rank/rank.ts';
import { defaultWindows } from '../../rank/rank.ts';
import { compareScored, type Matches, rankingOf, type Scored, type ScorePart } from '../../scored/scored.ts';
import type { Found } from '../../search/search.ts';
import type { Entities } from '../../state/entities/entities.ts';
import { listOf } from './whole-result.ts';

export interface BlendParts {
  readonly entities: Entities;
  readonly rank: Pick<Rank, 'scoring' | 'explain'>;
}

export interface Blended {
  readonly found: Found;
  readonly range: ScoreRange;
}

const ITEMS_A_STEP = 16_384;

/** `range`: that of the first page; undefined on it. */
export function blend(
  { entities, rank }: BlendParts,
  found: Found,
  { profile, weight }: Blending,
  { readTime, range: first }: { readonly readTime: ReadTime; readonly range: ScoreRange | undefined },
): Blended {
  const query: RankingQuery = { profile, window: defaultWindows[profile] ?? 'all', entity: undefined, seed: '' };
  const { whole } = found;
  const scoring = (ordinals: Int32Array) => rank.scoring(query, ordinals, readTime);
  const factorOf = (score: number, { lowest, highest }: ScoreRange): number =>
    1 + weight * normOf(score, lowest, highest);
  const explaining =
    (range: ScoreRange) =>
    (entity: number): readonly ScorePart[] => {
      const parts = found.explain(entity);
      const own = rank.explain(query, { entity, score: 0 }, readTime);
      const ordinals = Int32Array.of(entities.find(entity));
      const score = finish(scoring(ordinals)).scores[0]!;
      const text = whole?.isRanked === false ? 1 : parts.reduce((sum, { part }) => sum + part, 0);
      const value = normOf(score, range.lowest, range.highest);
      return [
        ...(whole?.isRanked === false ? [{ term: 'no text', value: 1, weight: 1, part: 1 }] : parts),
        {
          term: `profile ${profile}, from lowest to highest`,
          value,
          weight: text * weight,
          part: text * weight * value,
        },
        { term: `profile ${profile}`, value: score, weight: 0, part: 0 },
        ...own.map((part) => ({ ...part, term: `profile ${profile}: ${part.term}`, weight: 0, part: 0 })),
      ];
    };
  if (whole === undefined) {
    const list = listOf(found);
    const { scores, settle } = finish(scoring(Int32Array.from(list, ({ entity }) => entities.find(entity))));
    settle();
    const range = first ?? rangeOf(scores);
    const best = list
      .map(({ entity, score }, at): Scored => ({ entity, score: score * factorOf(scores[at]!, range) }))
      .sort(compareScored);
    const { fused, ...others } = found;
    return {
      range,
      found: {
        ...others,
        ...rankingOf(best, found.total),
        ...(fused === undefined ? {} : { fused: best }),
        explain: explaining(range),
      },
    };
  }
  const matches = whole.matches();
  const run: typeof whole.run = (id, begin) => whole.run(`blended ${readTime.atMs} ${id}`, begin);
  const { scores, settle } = run('scores', () => scoring(matches.ordinals));
  settle();
  const range = first ?? run('range', () => steps(() => rangeOf(scores)));
  const blended = run('all', function* (): Steps<Matches> {
    const final = new Float64Array(scores.length);
    for (let at = 0; at < final.length; at++) {
      const text = whole.isRanked ? (matches.scores?.[at] ?? 0) : 1;
      final[at] = text * factorOf(scores[at]!, range);
      if ((at + 1) % ITEMS_A_STEP === 0) yield;
    }
    return { ordinals: matches.ordinals, scores: final };
  });
  const { statistics } = found;
  return {
    range,
    found: {
      total: found.total,
      candidates: found.candidates,
      position: found.position,
      ...(found.marking === undefined ? {} : { marking: found.marking }),
      ...(statistics === undefined ? {} : { statistics: () => statistics() }),
      get relaxed() {
        return found.relaxed;
      },
      after: () => [],
      explain: explaining(range),
      whole: { matches: () => blended, run, isRanked: true },
    },
  };
}

function* steps<T>(compute: () => T): Steps<T> {
  yield;
  return compute();
}

function normOf(score: number, lowest: number, highest: number): number {
  if (score === Number.NEGATIVE_INFINITY || !(highest > lowest)) return 0;
  return Math.min(1, Math.max(0, (score - lowest) / (highest - lowest)));
}

/** Of those that are ranked; 0 and 0 if none is. */
function rangeOf(scores: Float64Array): ScoreRange {
  let lowest = Number.POSITIVE_INFINITY;
  let highest = Number.NEGATIVE_INFINITY;
  for (const score of scores) {
    if (score === Number.NEGATIVE_INFINITY) continue;
    if (score < lowest) lowest = score;
    if (score > highest) highest = score;
  }
  return highest < lowest ? { lowest: 0, highest: 0 } : { lowest, highest };
}
