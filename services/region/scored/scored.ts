/**
 * The top `limit` of many: a heap with the lowest on top. Higher scores first, then higher ties, then lower entities.
 *
 * Most entries are soon replaced by better ones, so they are numbers in arrays, not objects.
 */

export interface Scored {
  readonly entity: number;
  readonly score: number;
  /** Decides between equal scores: the higher one ranks first. An integer from 0 to 2^48 − 1; absent: 0. */
  readonly tie?: number;
  /** In a list that is sorted by fields: of all its items; then the lower text is first, then the lower entity. */
  readonly order?: string;
}

/** The tie of an entity, see {@link Scored}. */
export type TieOf = (entity: number) => number;

/** Negative if `a` ranks before `b`. */
export function compareScored(a: Scored, b: Scored): number {
  if (a.order !== undefined && b.order !== undefined) {
    return a.order === b.order ? a.entity - b.entity : a.order < b.order ? -1 : 1;
  }
  if (a.score !== b.score) return b.score - a.score;
  return (b.tie ?? 0) - (a.tie ?? 0) || a.entity - b.entity;
}

export class TopScores {
  private readonly limit: number;
  private readonly heap: Heap = { entities: [], scores: [], ties: [] };

  /** `limit` ≥ 1. */
  constructor(limit: number) {
    this.limit = limit;
  }

  /** Whether the next entry that is kept replaces another. */
  get isFull(): boolean {
    return this.heap.scores.length === this.limit;
  }

  /** Whether `add` would keep it. */
  takes(entity: number, score: number, tie = 0): boolean {
    if (this.heap.scores.length < this.limit) return true;
    const worst = this.heap.scores[0]!;
    if (score !== worst) return score > worst;
    const worstTie = this.heap.ties[0]!;
    return tie > worstTie || (tie === worstTie && entity < this.heap.entities[0]!);
  }

  /** A score below it is not kept; −Infinity while the heap is not full. */
  get threshold(): number {
    return this.heap.scores.length < this.limit ? Number.NEGATIVE_INFINITY : this.heap.scores[0]!;
  }

  add(entity: number, score: number, tie = 0): void {
    if (!this.isFull) {
      this.heap.entities.push(entity);
      this.heap.scores.push(score);
      this.heap.ties.push(tie);
      this.rise(this.heap.scores.length - 1, entity, score, tie);
    } else if (this.takes(entity, score, tie)) {
      sink(this.heap, this.limit, entity, score, tie);
    }
  }

  /** Best first. */
  sorted(): Scored[] {
    const { heap: own } = this;
    const heap: Heap = { entities: own.entities.slice(), scores: own.scores.slice(), ties: own.ties.slice() };
    const { entities, scores, ties } = heap;
    const best: Scored[] = [];
    for (let size = scores.length; size > 0; size--) {
      const [entity, score, tie] = [entities[0]!, scores[0]!, ties[0]!];
      best.push(tie === 0 ? { entity, score } : { entity, score, tie });
      sink(heap, size - 1, entities[size - 1]!, scores[size - 1]!, ties[size - 1]!);
    }
    return best.reverse();
  }

  /** Adds an entry at the end and sifts it up. */
  private rise(from: number, entity: number, score: number, tie: number): void {
    const { entities, scores, ties } = this.heap;
    let at = from;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (isWorse(scores[parent]!, ties[parent]!, entities[parent]!, score, tie, entity)) break;
      move(this.heap, parent, at);
      at = parent;
    }
    entities[at] = entity;
    scores[at] = score;
    ties[at] = tie;
  }
}

interface Heap {
  readonly entities: number[];
  readonly scores: number[];
  readonly ties: number[];
}

function move({ entities, scores, ties }: Heap, from: number, to: number): void {
  entities[to] = entities[from]!;
  scores[to] = scores[from]!;
  ties[to] = ties[from]!;
}

/** Replaces the top entry of a heap of `size` and sifts it down. */
function sink(heap: Heap, size: number, entity: number, score: number, tie: number): void {
  const { entities, scores, ties } = heap;
  const worse = (a: number, b: number): boolean =>
    isWorse(scores[a]!, ties[a]!, entities[a]!, scores[b]!, ties[b]!, entities[b]!);
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= size) break;
    const right = child + 1;
    if (right < size && worse(right, child)) child = right;
    if (!isWorse(scores[child]!, ties[child]!, entities[child]!, score, tie, entity)) break;
    move(heap, child, at);
    at = child;
  }
  entities[at] = entity;
  scores[at] = score;
  ties[at] = tie;
}

function isWorse(
  score: number,
  tie: number,
  entity: number,
  thanScore: number,
  thanTie: number,
  thanEntity: number,
): boolean {
  if (score !== thanScore) return score < thanScore;
  return tie < thanTie || (tie === thanTie && entity > thanEntity);
}

/** A ranking: feeds, text results and fused results page through it in the same way. */
/**
 * A key in a ranking: the score, the tie and the entity of an entry, in the order of `compareScored`, so that it stays valid
 * while other entries are added and removed.
 */
export type RankKey = Scored;

/** A ranking for one answer: it does not change until it is dropped, and is dropped before the next write. */
export interface Ranking {
  /** Number of ranked entries. */
  readonly total: number;
  /** The first `limit` that rank after `key` (undefined: from the top), best first; fewer: there are no more. */
  after(key: RankKey | undefined, limit: number): readonly Scored[];
}

/** Everything that matches, each item once, in any order. */
export interface Matches {
  readonly ordinals: Int32Array;
  /** In the order of `ordinals`; absent: all 0. */
  readonly scores?: Float64Array;
}

/** The contribution of one term of a formula to a score. The parts of an item add up to its score within rounding. */
export interface ScorePart {
  /** Name of the measurement, e.g. `view velocity 24h` or `title:jazz`. */
  readonly term: string;
  /** The measurement, before its weight. */
  readonly value: number;
  readonly weight: number;
  /** Its part of the score. */
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
