/**
 * The best of many: a heap of at most `limit`, the worst on top. Higher scores first, ties by ascending entity.
 *
 * Most that come in are soon replaced by better ones, so they are two numbers in two arrays and no objects.
 */

export interface Scored {
  readonly entity: number;
  readonly score: number;
}

/** Negative when `a` comes before `b`. */
export function compareScored(a: Scored, b: Scored): number {
  return a.score === b.score ? a.entity - b.entity : b.score - a.score;
}

export class TopScores {
  private readonly limit: number;
  // The heap.
  private readonly entities: number[] = [];
  private readonly scores: number[] = [];

  /** `limit` ≥ 1. */
  constructor(limit: number) {
    this.limit = limit;
  }

  /** Whether the next one that is kept takes the place of another. */
  get isFull(): boolean {
    return this.scores.length === this.limit;
  }

  /** Whether `add` would keep it. */
  takes(entity: number, score: number): boolean {
    if (this.scores.length < this.limit) return true;
    const worst = this.scores[0]!;
    return score > worst || (score === worst && entity < this.entities[0]!);
  }

  /** A score below it is not kept; −Infinity while there is room. */
  get threshold(): number {
    return this.scores.length < this.limit ? Number.NEGATIVE_INFINITY : this.scores[0]!;
  }

  add(entity: number, score: number): void {
    if (!this.isFull) {
      this.entities.push(entity);
      this.scores.push(score);
      this.rise(this.scores.length - 1, entity, score);
    } else if (this.takes(entity, score)) {
      sink(this.entities, this.scores, this.limit, entity, score);
    }
  }

  /** Best first. */
  sorted(): Scored[] {
    const entities = this.entities.slice();
    const scores = this.scores.slice();
    const best: Scored[] = [];
    for (let size = scores.length; size > 0; size--) {
      best.push({ entity: entities[0]!, score: scores[0]! });
      sink(entities, scores, size - 1, entities[size - 1]!, scores[size - 1]!);
    }
    return best.reverse();
  }

  /** Puts one in at the end, from where it goes up to its place. */
  private rise(from: number, entity: number, score: number): void {
    const { entities, scores } = this;
    let at = from;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const of = scores[parent]!;
      if (of < score || (of === score && entities[parent]! > entity)) break;
      entities[at] = entities[parent]!;
      scores[at] = of;
      at = parent;
    }
    entities[at] = entity;
    scores[at] = score;
  }
}

/** Puts one in on top of a heap of `size`, in place of the one there, from where it goes down to its place. */
function sink(entities: number[], scores: number[], size: number, entity: number, score: number): void {
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= size) break;
    const right = child + 1;
    if (right < size && isWorse(scores[right]!, entities[right]!, scores[child]!, entities[child]!)) child = right;
    if (!isWorse(scores[child]!, entities[child]!, score, entity)) break;
    entities[at] = entities[child]!;
    scores[at] = scores[child]!;
    at = child;
  }
  entities[at] = entity;
  scores[at] = score;
}

function isWorse(score: number, entity: number, thanScore: number, thanEntity: number): boolean {
  return score < thanScore || (score === thanScore && entity > thanEntity);
}
