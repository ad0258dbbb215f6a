/** Collects a result: documents are offered in any order, each once. */
import type { RankKey } from '../../scored/scored.ts';
import { type Scored, TopScores } from '../../scored/scored.ts';
import type { Entities } from '../entities/entities.ts';
import type { Selection } from '../filter-index/filter-index.ts';

/** Which of the matches are wanted. */
export interface Wanted {
  readonly selection: Selection | undefined;
  /** Only what ranks after it is wanted. */
  readonly after: RankKey | undefined;
  /** ≥ 1. */
  readonly limit: number;
}

export interface Answer {
  /** Number of all matching documents. */
  readonly total: number;
  readonly best: readonly Scored[];
}

/** The matches so far: their number, and the best of those that are wanted. */
export class Results {
  private total = 0;
  /** A score below it is not wanted. */
  threshold = Number.NEGATIVE_INFINITY;
  private readonly top: TopScores;
  private readonly selection: Selection | undefined;
  private readonly entities: Entities;
  private readonly after: RankKey | undefined;
  private readonly upperBound: number;

  constructor({ selection, after, limit }: Wanted, entities: Entities) {
    this.top = new TopScores(limit);
    this.selection = selection;
    this.after = after;
    this.upperBound = after?.score ?? Infinity;
    this.entities = entities;
  }

  add(document: number, score: number): void {
    if (this.selection !== undefined && !this.selection.has(document)) return;
    this.total++;
    if (score < this.threshold || score > this.upperBound) return;
    const entity = this.entities.entity(document);
    if (score === this.upperBound && entity <= this.after!.entity) return;
    this.top.add(entity, score);
    this.threshold = this.top.threshold;
  }

  answer(): Answer {
    return { total: this.total, best: this.top.sorted() };
  }
}
