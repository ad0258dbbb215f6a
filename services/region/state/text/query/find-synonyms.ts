/** The terms of the index that stand for a word or a phrase of a query because the schema says so. */
import type { Steps } from '../../../../../shared/kernel/steps.ts';
import type { CountedWord } from '../statistics/statistics.ts';
import { addBits, countBits } from './clauses.ts';
import { matchPhrase, type PhraseParts } from './phrases.ts';

export interface FoundPhrases {
  /** In which documents a term stands for one of the phrases, as sets of bits. */
  readonly phrases: ReadonlyMap<number, Uint32Array>;
  /** Number of documents with one of the phrases. */
  readonly documents: number;
  /** False: documents with a phrase have been left out. */
  readonly isComplete: boolean;
}

export interface FoundSynonyms extends FoundPhrases {
  /** Of single words. */
  readonly terms: ReadonlySet<number>;
}

/** Undefined if there are no texts. `fields` ascending. */
export function* findSynonyms(
  texts: readonly string[],
  fields: readonly number[],
  parts: PhraseParts,
): Steps<FoundSynonyms | undefined> {
  if (texts.length === 0) return undefined;
  const { lexicon } = parts.index;
  const terms = new Set<number>();
  const phrases: string[] = [];
  for (const text of texts) {
    const asks = lexicon.asksOf(text, fields);
    if (asks.length > 1) phrases.push(text);
    for (const { terms: names } of asks.length > 1 ? [] : asks.flat()) {
      for (const name of names) terms.add(lexicon.terms.find(name));
    }
  }
  terms.delete(-1);
  return { ...(yield* findPhrases(phrases, fields, parts)), terms };
}

export function* findPhrases(
  texts: readonly string[],
  fields: readonly number[],
  parts: PhraseParts,
): Steps<FoundPhrases> {
  const phrases = new Map<number, Uint32Array>();
  const any = new Uint32Array(texts.length === 0 ? 0 : parts.index.live.length);
  let isComplete = true;
  for (const text of texts) {
    const matched = yield* matchPhrase(text, fields, parts);
    isComplete &&= matched.isComplete;
    addBits(any, matched.documents);
    for (const term of matched.terms) {
      const documents = phrases.get(term) ?? new Uint32Array(any.length);
      addBits(documents, matched.documents);
      phrases.set(term, documents);
    }
  }
  return { phrases, documents: countBits(any), isComplete };
}

/** Whether a word has all of its synonyms: that of a later page has those of the first one. */
export function hasAll({ terms: counted }: CountedWord, { terms, phrases, isComplete }: FoundSynonyms): boolean {
  const known = new Set(counted.map(({ term }) => term));
  return isComplete && [...terms, ...phrases.keys()].every((term) => known.has(term));
}
