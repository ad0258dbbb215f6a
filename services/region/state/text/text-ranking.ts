/**
 * The result of a query, computed as far as it is read: the first page costs no more than itself and the count of matches, and
 * its result is reused for the next.
 */
import type { Matches, RankKey, ScorePart } from '../../scored/scored.ts';
import { compareScored, type Scored } from '../../scored/scored.ts';
import type { Entities } from '../entities/entities.ts';
import type { Selection } from '../filter-index/filter-index.ts';
import type { InvertedIndex } from './inverted-index.ts';
import { marksOf, type Span } from './marks/marks.ts';
import { AllResults } from './results.ts';
import type { ExpandedClause, Scoring } from './scoring.ts';
import type { Statistics } from './statistics/statistics.ts';
import type { RunSteps, TextRanking } from './text.ts';

/** How many are found if only their number was requested. */
const FIRST_HITS = 32;
/** Minimum number found once more is requested than was found, so that a caller that skips many needs only one more search. */
const FURTHER_HITS = 2_048;

export interface TextRankingOptions {
  readonly index: InvertedIndex;
  readonly scoring: Scoring;
  readonly entities: Entities;
  readonly clauses: readonly ExpandedClause[];
  readonly statistics: Statistics;
  readonly selection: Selection | undefined;
  readonly run: RunSteps;
}

export class LazyTextRanking implements TextRanking {
  private readonly options: TextRankingOptions;
  private matchCount: number | undefined;
  /** The best after `from`; `isComplete`: there are no further ones. */
  private found: readonly Scored[] = [];
  private from: RankKey | undefined;
  private isComplete = false;

  constructor(options: TextRankingOptions) {
    this.options = options;
    if (options.clauses.length > 0 && options.index.size > 0) return;
    this.matchCount = 0;
    this.isComplete = true;
  }

  get total(): number {
    if (this.matchCount === undefined) this.find(undefined, FIRST_HITS);
    return this.matchCount!;
  }

  after(key: RankKey | undefined, limit: number): readonly Scored[] {
    const kept = this.kept(key, limit);
    if (kept !== undefined) return kept;
    // Then twice as many each time: reading all of it costs a few searches.
    const further = this.matchCount === undefined ? 0 : Math.max(FURTHER_HITS, this.found.length * 2);
    this.find(key, Math.max(limit, 1, further));
    return this.found.slice(0, limit);
  }

  matches(): Matches {
    const { scoring, entities, clauses, selection, run } = this.options;
    if (this.isComplete && this.matchCount === 0) return { ordinals: new Int32Array(0) };
    return run('all matches', function* () {
      const wanted = { clauses, selection, after: undefined, limit: 1 };
      const results = new AllResults(wanted, entities);
      yield* scoring.answering({ ...wanted, results });
      return results.matches;
    });
  }

  marks(fieldName: string, text: string): readonly Span[] {
    const { index, clauses } = this.options;
    const field = index.fieldNames.indexOf(fieldName);
    const asked = new Set<number>();
    for (const { presence, fields, terms } of clauses) {
      if (presence === 'prohibited' || fields?.includes(field) === false) continue;
      for (const { term } of terms) asked.add(term);
    }
    return field < 0 ? [] : marksOf(text, (key) => asked.has(index.lexicon.findTerm(key, field)));
  }

  statistics(): Uint8Array {
    return this.options.statistics.bytes();
  }

  explain(entity: number): readonly ScorePart[] {
    const { index, scoring, entities, clauses, selection } = this.options;
    const document = entities.find(entity);
    if (!index.isLive(document) || selection?.has(document) === false) return [];
    scoring.refresh();
    if (scoring.scoreOf(document, clauses) < 0) return [];
    return clauses.flatMap(({ terms, fields, presence }) => {
      if (presence === 'prohibited') return [];
      return terms.flatMap(({ term, weight }) => {
        const code = index.postings.find(term, document);
        const value = code < 0 ? -1 : scoring.value(code, document, fields);
        if (value < 0) return [];
        const names = fields?.map((field) => index.fieldNames[field]).join('|');
        const text = index.lexicon.termText(term);
        return [{ term: names === undefined ? text : `${names}:${text}`, value, weight, part: weight * value }];
      });
    });
  }

  /** The requested entries, if they are known already. */
  private kept(key: RankKey | undefined, limit: number): readonly Scored[] | undefined {
    if (this.matchCount === undefined) return undefined;
    const { from, found } = this;
    if (from !== undefined && (key === undefined || compareScored(key, from) < 0)) return undefined;
    let start = 0;
    if (key !== undefined) while (start < found.length && compareScored(found[start]!, key) <= 0) start++;
    return this.isComplete || start + limit <= found.length ? found.slice(start, start + limit) : undefined;
  }

  private find(after: RankKey | undefined, limit: number): void {
    const { scoring, clauses, selection, run } = this.options;
    const asked = { clauses, selection, after, limit };
    const { total, best } = run(JSON.stringify(['after', after, limit]), () => scoring.answering(asked));
    this.matchCount = total;
    this.found = best;
    this.from = after;
    this.isComplete = best.length < limit;
  }
}
