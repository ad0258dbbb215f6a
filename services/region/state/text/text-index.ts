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
 * N = live documents, n(t) = those with t in any field, lengths in terms. With one field of boost 1 it is plain BM25. A
 * clause with a field sums over that field only; n(t) stays the document's. Fields add up in schema order, terms in query
 * order (of a wildcard or fuzzy word: alphabetically), so a score does not depend on the order in which documents came.
 *
 * All of it lives in memory and is rebuilt from the documents after a restart.
 */
import { assert } from '../../../../shared/kernel/kernel.ts';
import { rankingOf } from '../../../../shared/kernel/ranking.ts';
import { compareScored, type Scored, TopScores } from '../../../../shared/kernel/top-scores.ts';
import type { Schema } from '../../../../shared/schema/schema.ts';
import type { Entities } from '../entities/entities.ts';
import { Analysis } from './analysis.ts';
import { InvertedIndex } from './inverted-index.ts';
import { matchTerms } from './match-terms.ts';
import { parseTextQuery } from './parse-text-query.ts';
import { type ExpandedClause, Scoring } from './scoring.ts';
import type { Suggestion, TextIndex, WeightedTerm } from './text.ts';

export function createTextIndex({
  schema,
  entities,
}: {
  schema: Pick<Schema, 'textFields' | 'bm25'>;
  entities: Entities;
}): TextIndex {
  const fieldNames = schema.textFields.map(({ name }) => name);
  const analysis = new Analysis();
  const index = new InvertedIndex({ fieldNames, analysis });
  const scoring = new Scoring({ index, boosts: schema.textFields.map(({ boost }) => boost), bm25: schema.bm25 });

  const expand = (query: string | readonly WeightedTerm[]): ExpandedClause[] => {
    if (typeof query !== 'string') {
      const fields = [...fieldNames.keys()];
      return query.map(({ term, weight }) => ({ terms: [term], boost: weight, presence: 'optional', fields }));
    }
    return parseTextQuery(query, fieldNames, analysis).map((clause) => ({
      ...clause,
      terms: matchTerms(clause.match, index.vocabulary),
    }));
  };

  const run = (clauses: readonly ExpandedClause[], onMatch: (entity: number, score: number) => void): void => {
    if (clauses.length > 0 && index.size > 0) scoring.run(clauses, onMatch);
  };

  return {
    put: (entity, metadata) => {
      entities.ordinal(entity);
      index.put(entity, metadata);
    },
    remove: (entity) => index.remove(entity),
    get size() {
      return index.size;
    },
    rank(query, selection) {
      const clauses = expand(query);
      const best: Scored[] = [];
      run(clauses, (entity, score) => {
        if (selection === undefined || selection.has(entities.find(entity))) best.push({ entity, score });
      });
      return {
        ...rankingOf(best.sort(compareScored)),
        explain: (entity) =>
          clauses.flatMap(({ terms, boost, fields }) =>
            terms.flatMap((term) => {
              let part = 0;
              run([{ terms: [term], boost, fields, presence: 'optional' }], (other, score) => {
                if (other === entity) part = score;
              });
              return part === 0 ? [] : [{ term, value: part / boost, weight: boost, part }];
            }),
          ),
      };
    },
    suggest(prefix, limit) {
      const found: Suggestion[] = [];
      if (prefix === '') return found;
      for (const completion of index.vocabulary.startingWith(prefix.toLowerCase())) {
        found.push({ completion, documents: index.term(completion)!.documents });
      }
      return found.sort((a, b) => b.documents - a.documents).slice(0, limit);
    },
    significantTerms: (entity, limit) => index.significantTerms(entity, limit),
    search(query, limit, accept) {
      assert(limit >= 1, 'a search asks for at least one hit', () => limit);
      const best = new TopScores(limit);
      let total = 0;
      run(expand(query), (entity, score) => {
        if (accept !== undefined && !accept(entity)) return;
        total++;
        best.add(entity, score);
      });
      return { hits: best.sorted(), total };
    },
  };
}
