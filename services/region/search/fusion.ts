/** Reciprocal rank fusion. See `search.ts`. */
import type { ScorePart } from '../scored/scored.ts';
import { compareScored, type Scored } from '../scored/scored.ts';

const K = 60;

export interface Fused {
  /** Best first. */
  readonly best: readonly Scored[];
  /** One part for each list, in the order of the lists. */
  explain(entity: number): readonly ScorePart[];
}

/** Fuses lists of entities, each the best first and without repetition. */
export function fuse(lists: readonly { readonly name: string; readonly entities: readonly number[] }[]): Fused {
  const scores = new Map<number, number>();
  for (const { entities } of lists) {
    for (const [index, entity] of entities.entries()) {
      scores.set(entity, (scores.get(entity) ?? 0) + share(index + 1));
    }
  }
  const best = Array.from(scores, ([entity, score]) => ({ entity, score })).sort(compareScored);
  return {
    best,
    explain: (entity) =>
      lists.flatMap(({ name, entities }) => {
        const rank = entities.indexOf(entity) + 1;
        const value = share(rank);
        return rank === 0 ? [] : [{ term: `rank ${rank} by ${name}`, value, weight: 1, part: value }];
      }),
  };
}

function share(rank: number): number {
  return 1 / (K + rank);
}
