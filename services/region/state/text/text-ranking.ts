/**
 * The result of a query, computed as far as it is read: the first page costs no more than itself and the count of matches, and
 * its result is reused for the next.
 */
import type { Matches, RankKey, TieOf } from '../../scored/scored.ts';
import { compareScored, type Scored } from '../../scored/scored.ts';
import type { Entities } from '../entities/entities.ts';
import type { Selection } from '../filter-index/filter-index.ts';
import { isHidden } from './analysis/analysis.ts';
import type { InvertedIndex } from './inverted-index.ts';
import { marksOf, type Span } from './marks/marks.ts';
import { type ExpandedClause, type ExpandedQuery, type ExpandedTerm, hasBit } from './query/query.ts';
import { AllResults, type Answer } from './results.ts';
import type { Scoring } from './scoring.ts';
import type { Statistics } from './statistics/statistics.ts';
import type { RunSteps, TermPart, TextRanking } from './text.ts';

/** How many are found if only their number was requested. */
const FIRST_HITS = 32;
/** Minimum number found once more is requested than was found, so that a caller that skips many needs only one more search. */
const FURTHER_HITS = 2_048;

export interface TextRankingOptions {
  readonly index: InvertedIndex;
  readonly scoring: Scoring;
  readonly entities: Entities;
  readonly query: ExpandedQuery;
  readonly statistics: Statistics;
  readonly selection: Selection | undefined;
  readonly run: RunSteps;
  readonly tieOf?: TieOf | undefined;
}

export class LazyTextRanking implements TextRanking {
  private readonly options: TextRankingOptions;
  private matchCount: number | undefined;
  /** The best after `from`; `isComplete`: there are no further ones. */
  private found: readonly Scored[] = [];
  private from: RankKey | undefined;
  private isComplete = false;
  /** How many clauses a document must have. */
  private minimum: number;

  constructor(options: TextRankingOptions) {
    this.options = options;
    const { clauses, isBrowse, minimum } = options.query;
    this.minimum = minimum;
    const canMatch = isBrowse || clauses.some(({ presence, terms }) => presence !== 'prohibited' && terms.length > 0);
    if (canMatch && options.index.size > 0) return;
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
    const { scoring, entities, query, selection, run } = this.options;
    // Read first, because the search may be relaxed.
    if (this.total === 0) return { ordinals: new Int32Array(0) };
    const { clauses } = query;
    const { minimum } = this;
    return run('all matches', function* () {
      const wanted = { clauses, minimum, selection, after: undefined, limit: 1 };
      const results = new AllResults(wanted, entities);
      yield* scoring.answering({ ...wanted, results });
      return results.matches;
    });
  }

  marks(fieldName: string, text: string): readonly Span[] {
    const { index, query } = this.options;
    const field = index.fieldNames.indexOf(fieldName);
    const asked = new Set<number>();
    for (const { presence, fields, terms } of query.clauses) {
      if (presence === 'prohibited' || fields?.includes(field) === false) continue;
      for (const { term } of terms) asked.add(term);
    }
    return field < 0 ? [] : marksOf(text, (key) => asked.has(index.lexicon.findTerm(key, field)));
  }

  statistics(): Uint8Array {
    return this.options.statistics.bytes(this.minimum < this.options.query.minimum);
  }

  get relaxed(): readonly string[] {
    const { query } = this.options;
    return this.minimum === query.minimum ? query.relaxed : ['matching=most', ...query.relaxed];
  }

  explain(entity: number): readonly TermPart[] {
    const { index, scoring, entities, query, selection } = this.options;
    const document = entities.find(entity);
    if (!index.isLive(document) || selection?.has(document) === false) return [];
    scoring.refresh();
    // Read here, because it may be relaxed by the search.
    if (this.total === 0) return [];
    const { minimum } = this;
    if (scoring.scoreOf(document, { clauses: query.clauses, minimum }) < 0) return [];
    const own = new Map<number, string[]>();
    const { lexicon } = index;
    for (const word of index.wordsOf(document)) {
      const spelling = lexicon.spelling(word);
      const [term, text] = [lexicon.termOf(word), isHidden(spelling) ? lexicon.wordText(word) : spelling];
      const words = own.get(term);
      if (words === undefined) own.set(term, [text]);
      else words.push(text);
    }
    return query.clauses.flatMap((clause) =>
      clause.presence === 'prohibited' ? [] : this.partsOf(document, clause, own),
    );
  }

  /** The parts of a clause in a document with these words, by term. */
  private partsOf(
    document: number,
    clause: ExpandedClause,
    own: ReadonlyMap<number, readonly string[]>,
  ): readonly TermPart[] {
    const { index, scoring } = this.options;
    const { terms, fields, summed, asked } = clause;
    const names = fields?.map((field) => index.fieldNames[field]).join('|');
    const partsOf = ({ term, weight, base, form, only }: ExpandedTerm): TermPart[] => {
      if (only !== undefined && !hasBit(only, document)) return [];
      const words = own.get(term);
      const code = words === undefined ? -1 : index.postings.find(term, document);
      const value = code < 0 ? -1 : scoring.value(code, document, fields);
      if (value < 0) return [];
      const text = index.lexicon.termText(term);
      const { match, distance } = form;
      return [
        {
          term: names === undefined ? text : `${names}:${text}`,
          value: base === 0 ? value : base / weight + value,
          weight,
          part: base + weight * value,
          ...{ asked, match, word: likest(words!, asked) },
          ...(distance === undefined ? {} : { distance }),
        },
      ];
    };
    let best: readonly TermPart[] = terms.slice(0, summed).flatMap(partsOf);
    let sum = best.reduce((all, { part }) => all + part, 0);
    for (const part of terms.slice(summed).flatMap(partsOf)) {
      if (best.length > 0 && part.part <= sum) continue;
      best = [part];
      sum = part.part;
    }
    return best;
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
    const { query, scoring, selection, run, tieOf } = this.options;
    const { clauses, isMinimumRelaxed } = query;
    const search = (): Answer => {
      const { minimum } = this;
      const asked = { clauses, minimum, selection, after, limit, tieOf };
      return run(JSON.stringify(['after', after, limit, minimum]), () => scoring.answering(asked));
    };
    let answer = search();
    if (answer.total === 0 && this.minimum > 1 && isMinimumRelaxed) {
      this.minimum = 1;
      answer = search();
    }
    this.matchCount = answer.total;
    this.found = answer.best;
    this.from = after;
    this.isComplete = answer.best.length < limit;
  }
}

/** Of words with the same term, the one that was asked for or begins with it, otherwise the first alphabetically. */
function likest(words: readonly string[], asked: string): string {
  const sorted = words.toSorted();
  return sorted.find((word) => word === asked) ?? sorted.find((word) => word.startsWith(asked)) ?? sorted[0]!;
}
