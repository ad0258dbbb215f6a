/** The terms that characterise a document, as a query for similar ones. */
import type { Steps } from '../../../../shared/kernel/steps.ts';
import type { InvertedIndex } from './inverted-index.ts';
import type { Scoring } from './scoring.ts';
import { inverseDocumentFrequency } from './statistics/statistics.ts';
import type { WeightedTerm } from './text.ts';

const WORDS_A_STEP = 256;

/**
 * The terms that contribute most to the document's own score. Each is weighted by its saturation there, so that a ranking by them
 * is Σ idf · saturation here · saturation there: symmetric. A term without another document finds nothing and is omitted. Equal
 * ones are ordered alphabetically.
 */
export function* significantTerms(
  index: InvertedIndex,
  scoring: Scoring,
  document: number,
  limit: number,
): Steps<WeightedTerm[]> {
  if (!index.isLive(document)) return [];
  scoring.refresh();
  const { lexicon, postings } = index;
  const seen = new Set<number>();
  const best: (WeightedTerm & { readonly part: number })[] = [];
  for (const [at, word] of index.wordsOf(document).entries()) {
    if ((at + 1) % WORDS_A_STEP === 0) yield;
    const number = lexicon.termOf(word);
    // Stop words, and pairs of characters of longer words, say nothing of a document.
    if (!lexicon.isShown(word)) continue;
    if (seen.has(number) || postings.documents(number) < 2) continue;
    seen.add(number);
    const weight = scoring.value(postings.find(number, document), document, undefined);
    const part = weight * inverseDocumentFrequency(index.size, postings.documents(number));
    if (best.length === limit && part < best[limit - 1]!.part) continue;
    const term = lexicon.terms.texts[number]!;
    const place = best.findIndex((other) => part > other.part || (part === other.part && term < other.term));
    best.splice(place < 0 ? best.length : place, 0, { term, weight, part });
    if (best.length > limit) best.pop();
  }
  return best.map(({ term, weight }) => ({ term, weight }));
}
