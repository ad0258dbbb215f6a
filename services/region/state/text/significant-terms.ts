/** The terms that characterise a document, as a query for similar ones. */
import type { InvertedIndex } from './inverted-index.ts';
import type { Scoring } from './scoring.ts';
import type { WeightedTerm } from './text.ts';

/**
 * The terms that contribute most to the document's own score. Each is weighted by its saturation there, so that a ranking by them
 * is Σ idf · saturation here · saturation there: symmetric. A term without another document finds nothing and is omitted. Equal
 * ones are ordered alphabetically.
 */
export function significantTerms(
  index: InvertedIndex,
  scoring: Scoring,
  document: number,
  limit: number,
): WeightedTerm[] {
  if (!index.isLive(document)) return [];
  scoring.refresh();
  const { lexicon, postings } = index;
  const terms = new Set(Array.from(index.wordsOf(document), (word) => lexicon.termOf(word)));
  const shared = [...terms].filter((term) => postings.documents(term) > 1);
  return shared
    .map((term) => {
      const weight = scoring.value(postings.find(term, document), document, undefined);
      return { term: lexicon.terms.texts[term]!, weight, part: weight * scoring.idf(term) };
    })
    .sort((a, b) => b.part - a.part || (a.term < b.term ? -1 : 1))
    .slice(0, limit)
    .map(({ term, weight }) => ({ term, weight }));
}
