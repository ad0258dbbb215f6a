/**
 * The text index in memory: our inverted index underneath, lunr's analysis and query language on top.
 *
 * Score: BM25F with a normalisation per field (Zaragoza, Craswell, Taylor, Saria, Robertson: Microsoft Cambridge at
 * TREC-13, 2004; idf as in Robertson and Zaragoza: The Probabilistic Relevance Framework, 2009, with 1 added inside the
 * logarithm so that it is never negative):
 *
 *     tf(t, d)    = Σ_f boost_f · freq(t, d, f) / (1 − b + b · length(d, f) / average length(f))
 *     idf(t)      = ln(1 + (N − n(t) + 0.5) / (n(t) + 0.5))
 *     score(d)    = Σ_t boost_t · idf(t) · tf · (k1 + 1) / (k1 + tf)
 *
 * N = live documents, n(t) = those with t in any field, lengths in terms, their average over the documents that have the field at
 * all, so that tags are not considered long because few documents have any. With one field of boost 1 it is plain BM25. A clause
 * with a field sums over that field only; n(t) stays the document's. Fields add up in schema order, terms in query order (those
 * of a wildcard or fuzzy word as in `query/match-words.ts`), so a score does not depend on the order of the documents.
 */
import { assert } from '../../../../shared/kernel/kernel.ts';
import { finish, type Steps } from '../../../../shared/kernel/steps.ts';
import type { Metadata } from '../../../../shared/protocol/events.ts';
import type { Schema } from '../../schema/schema.ts';
import type { TieOf } from '../../scored/scored.ts';
import type { Entities } from '../entities/entities.ts';
import type { Selection } from '../filter-index/filter-index.ts';
import { analysisOf } from './analysis/analysis.ts';
import { InvertedIndex } from './inverted-index.ts';
import type { Suggestion } from './lexicon/lexicon.ts';
import { type ExpandedQuery, Expansion, QueryCost, Synonyms, type TextQuery } from './query/query.ts';
import { Saturation, type SaturationOptions } from './saturation.ts';
import { Scoring } from './scoring.ts';
import { significantTerms } from './significant-terms.ts';
import { FrozenStatistics, forms, PresentStatistics, type Statistics } from './statistics/statistics.ts';
import type { AdoptsText, RunSteps, TextImage, TextIndex, TextRanking, WeightedTerm } from './text.ts';
import { LazyTextRanking } from './text-ranking.ts';

export interface TextIndexOptions {
  readonly schema: Pick<Schema, 'textFields' | 'bm25' | 'synonyms'>;
  readonly entities: Entities;
  /** The metadata of an ordinal as it is indexed: phrases are looked for in it. Absent: no document has a phrase. */
  readonly metadataOf?: (ordinal: number) => Metadata | undefined;
}

export function createTextIndex(options: TextIndexOptions): TextIndex & AdoptsText {
  return new MemoryTextIndex(options);
}

/** Number of earlier pages' average lengths for which values are kept. */
const FROZEN_LIMIT = 4;

interface Expanded {
  readonly query: ExpandedQuery;
  readonly statistics: Statistics;
}

function atOnce<T>(_: string, begin: () => Steps<T>): T {
  return finish(begin());
}

export class MemoryTextIndex implements TextIndex, AdoptsText {
  // For tests and benchmarks.
  readonly index: InvertedIndex;
  readonly scoring: Scoring;
  /** Cost of the last query. */
  lastCost = new QueryCost();

  private readonly entities: Entities;
  private readonly saturationLimit: number;
  private readonly metadataOf: (ordinal: number) => Metadata | undefined;
  private readonly synonyms: Synonyms;
  private readonly saturated: SaturationOptions;
  /** By average lengths: scorings of earlier pages' statistics, the last used one last. */
  private readonly frozen = new Map<string, Scoring>();

  constructor({
    schema: { textFields, bm25, synonyms = [] },
    entities,
    metadataOf = () => undefined,
  }: TextIndexOptions) {
    this.entities = entities;
    this.metadataOf = metadataOf;
    const fieldNames = textFields.map(({ name }) => name);
    this.index = new InvertedIndex({ fieldNames, analyses: textFields.map(analysisOf) });
    this.synonyms = new Synonyms(synonyms, this.index.lexicon);
    this.saturated = { index: this.index, boosts: textFields.map(({ boost }) => boost), bm25 };
    const saturation = new Saturation(this.saturated);
    this.saturationLimit = saturation.limit;
    this.scoring = new Scoring({ index: this.index, saturation, entities });
  }

  get size(): number {
    return this.index.size;
  }

  adopt(image: TextImage): void {
    this.index.adopt(image);
  }

  putting(entity: number, metadata: Metadata): Steps {
    return this.index.putting(this.entities.ordinal(entity), metadata);
  }

  removing(entity: number): Steps {
    return this.index.removing(this.entities.find(entity));
  }

  put(entity: number, metadata: Metadata): void {
    finish(this.putting(entity, metadata));
  }

  remove(entity: number): void {
    finish(this.removing(entity));
  }

  rank(
    query: TextQuery | readonly WeightedTerm[],
    selection?: Selection,
    run: RunSteps = atOnce,
    frozen?: Uint8Array,
    tieOf?: TieOf,
  ): TextRanking {
    const { index, entities } = this;
    const asked = isTerms(query) ? this.ofTerms(query) : run('clauses', () => this.expanding(query, frozen));
    const { statistics } = asked;
    const scoring = statistics.averages === undefined ? this.scoring : this.scoringBy(statistics.averages);
    return new LazyTextRanking({ ...asked, index, scoring, entities, selection, run, tieOf });
  }

  private scoringBy(averages: readonly number[]): Scoring {
    const key = averages.join();
    const { index, entities, frozen } = this;
    let scoring = frozen.get(key);
    frozen.delete(key);
    if (scoring === undefined) {
      const saturation = new Saturation({ ...this.saturated, averages });
      scoring = new Scoring({ index, saturation, entities });
      Object.assign(scoring.step, this.scoring.step);
      const [oldest] = frozen.keys();
      if (frozen.size >= FROZEN_LIMIT) frozen.delete(oldest!);
    }
    frozen.set(key, scoring);
    return scoring;
  }

  keyOf(query: string): string {
    const { fieldNames, lexicon } = this.index;
    const asks = lexicon.asksOf(query, [...fieldNames.keys()]);
    return asks.map(([best]) => best?.terms[0] ?? '').join(' ');
  }

  suggest(prefix: string, limit: number, run: RunSteps = atOnce): readonly Suggestion[] {
    assert(limit >= 1, 'at least one suggestion is asked for', () => limit);
    return run('suggestions', () => this.index.lexicon.suggesting(prefix, limit));
  }

  significantTerms(entity: number, limit: number, run: RunSteps = atOnce): readonly WeightedTerm[] {
    const document = this.entities.find(entity);
    return run('significant terms', () => significantTerms(this.index, this.scoring, document, limit));
  }

  /** The clauses of a query with their terms. Throws `Refusal('invalid_query')`. */
  expand(query: TextQuery): ExpandedQuery {
    return finish(this.expanding(query)).query;
  }

  private *expanding(query: TextQuery, frozen?: Uint8Array): Steps<Expanded> {
    const { index, metadataOf, synonyms, saturationLimit: saturation } = this;
    // Plain text is never refused: less of it is looked for.
    const cost = new QueryCost({ isRefusing: query.syntax === 'lunr' });
    this.lastCost = cost;
    const statistics = frozen === undefined ? new PresentStatistics(index) : new FrozenStatistics(index, frozen);
    const expansion = new Expansion({ index, statistics, metadataOf, cost, synonyms, saturation });
    return { query: yield* expansion.expand(query), statistics };
  }

  private ofTerms(query: readonly WeightedTerm[]): Expanded {
    const { lexicon, postings } = this.index;
    const statistics = new PresentStatistics(this.index);
    const clauses = query.flatMap(({ term: text, weight: factor }) => {
      const term = lexicon.terms.find(text);
      if (term < 0) return [];
      const weight = factor * statistics.idf(postings.documents(term));
      const terms = [{ term, weight, base: 0, form: forms.word }];
      return [{ presence: 'optional' as const, fields: undefined, summed: 1, asked: text, terms }];
    });
    const asked = { clauses, minimum: 1, isBrowse: false, relaxed: [], isMinimumRelaxed: false };
    return { query: asked, statistics };
  }
}

function isTerms(query: TextQuery | readonly WeightedTerm[]): query is readonly WeightedTerm[] {
  return Array.isArray(query);
}
