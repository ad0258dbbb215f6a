/** Collects a result: documents are offered in any order, each once. */
import type { Matches, RankKey, TieOf } from '../../scored/scored.ts';
import { compareScored, type Scored, TopScores } from '../../scored/scored.ts';
import type { Entities } from '../entities/entities.ts';
import type { Selection } from '../filter-index/filter-index.ts';
import { grown } from '../memory/memory.ts';

/** Which of the matches are wanted. */
export interface Wanted {
  readonly selection: Selection | undefined;
  /** Only what ranks after it is wanted. */
  readonly after: RankKey | undefined;
  /** ≥ 1. */
  readonly limit: number;
  /** Absent: the entity decides between equal scores. */
  readonly tieOf?: TieOf | undefined;
}

export interface Answer {
  /** Number of all matching documents. */
  readonly total: number;
  readonly best: readonly Scored[];
}

/** The matches so far: their number, and the best of those that are wanted. */
export class Results {
  protected total = 0;
  /** A score below it is not wanted. */
  threshold = Number.NEGATIVE_INFINITY;
  private readonly top: TopScores;
  protected readonly selection: Selection | undefined;
  private readonly entities: Entities;
  private readonly after: RankKey | undefined;
  private readonly upperBound: number;
  private readonly tieOf: TieOf | undefined;

  constructor({ selection, after, limit, tieOf }: Wanted, entities: Entities) {
    this.tieOf = tieOf;
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
    const tie = this.tieOf?.(entity) ?? 0;
    if (score === this.upperBound && compareScored(this.after!, { entity, score, tie }) >= 0) return;
    this.top.add(entity, score, tie);
    this.threshold = this.top.threshold;
  }

  answer(): Answer {
    return { total: this.total, best: this.top.sorted() };
  }
}

/** All matches, each with its score. */
export class AllResults extends Results {
  private ordinals = new Int32Array(1_024);
  private scores = new Float64Array(1_024);

  override add(document: number, score: number): void {
    if (this.selection !== undefined && !this.selection.has(document)) return;
    if (this.total === this.ordinals.length) {
      this.ordinals = grown(this.ordinals, this.total + 1);
      this.scores = grown(this.scores, this.total + 1);
    }
    this.ordinals[this.total] = document;
    this.scores[this.total++] = score;
  }

  get matches(): Matches {
    return { ordinals: this.ordinals.subarray(0, this.total), scores: this.scores.subarray(0, this.total) };
  }
}

/** Documents of a window: their scores fit the processor's nearest cache. */
export const WINDOW = 2_048;
export const WINDOW_WORDS = WINDOW / 32;
export const WINDOW_MASK = WINDOW - 1;

/** The scores of a window's documents; all zero between windows. */
export class WindowScores {
  readonly scores = new Float64Array(WINDOW);
  readonly touched = new Uint32Array(WINDOW_WORDS);
  readonly ofClause = new Uint32Array(WINDOW_WORDS);
  readonly matching = new Uint32Array(WINDOW_WORDS);
  /** The parts of one clause of which the best counts, and who has one. */
  readonly parts = new Float64Array(WINDOW);
  readonly ofGroup = new Uint32Array(WINDOW_WORDS);
  readonly counts = new ClauseCounts();

  /** All that has a score matches. */
  harvestTouched(start: number, results: Results): void {
    const { scores, touched } = this;
    for (let word = 0; word < WINDOW_WORDS; word++) {
      let bits = touched[word]! | 0;
      if (bits === 0) continue;
      touched[word] = 0;
      for (; bits !== 0; bits &= bits - 1) {
        const place = (word << 5) | (31 - Math.clz32(bits & -bits));
        const score = scores[place]!;
        scores[place] = 0;
        results.add(start + place, score);
      }
    }
  }

  /** Takes the window's scores, leaving zeros. `matching` ⊆ `touched`, but for a query that matches without scores. */
  harvest(start: number, results: Results): void {
    const { scores, touched, matching } = this;
    for (let word = 0; word < WINDOW_WORDS; word++) {
      for (let bits = matching[word]!; bits !== 0; bits &= bits - 1) {
        const place = (word << 5) | (31 - Math.clz32(bits & -bits));
        results.add(start + place, scores[place]!);
      }
      for (let bits = touched[word]!; bits !== 0; bits &= bits - 1) {
        scores[(word << 5) | (31 - Math.clz32(bits & -bits))] = 0;
      }
      touched[word] = 0;
      matching[word] = 0;
    }
  }
}

/** Bits of a count: a query has fewer than 64 clauses. */
const COUNT_BITS = 6;

/** How many clauses each document of a window has: binary numbers, one bit of all documents beside each other. */
class ClauseCounts {
  private readonly planes = Array.from({ length: COUNT_BITS }, () => new Uint32Array(WINDOW_WORDS));

  clear(): void {
    for (const plane of this.planes) plane.fill(0);
  }

  /** Counts one more for each document in `bits`. */
  add(bits: Uint32Array): void {
    for (let word = 0; word < WINDOW_WORDS; word++) {
      let carry = bits[word]! | 0;
      for (let i = 0; carry !== 0 && i < COUNT_BITS; i++) {
        const plane = this.planes[i]!;
        const both = plane[word]! & carry;
        plane[word]! ^= carry;
        carry = both;
      }
    }
  }

  /** Leaves in `bits` only documents with a count of at least `minimum`. */
  keepAtLeast(minimum: number, bits: Uint32Array): void {
    for (let word = 0; word < WINDOW_WORDS; word++) {
      let above = 0;
      let equal = -1;
      for (let i = COUNT_BITS - 1; i >= 0; i--) {
        const plane = this.planes[i]![word]! | 0;
        if (((minimum >>> i) & 1) === 1) {
          equal &= plane;
        } else {
          above |= equal & plane;
          equal &= ~plane;
        }
      }
      bits[word]! &= above | equal;
    }
  }
}
