/** The terms of the index that stand for a word or a phrase of a query because the schema says so. */
import type { Steps } from '../../../../../shared/kernel/steps.ts';
import { type CountedWord, forms } from '../statistics/statistics.ts';
import { addBits, countBits } from './clauses.ts';
import { matchPhrase, type PhraseMatch, type PhraseParts } from './phrases.ts';
import type { QueryCost } from './query-cost.ts';

/**
 * The share of the limit of a query's cost that all of its synonyms have together, and have for themselves: the words that were
 * typed, their completions and corrections have to be affordable beside them.
 */
export const SYNONYMS_SHARE = 0.25;

export interface SynonymParts extends PhraseParts {
  /** Of the synonyms alone. */
  readonly synonymCost: QueryCost;
  /** The phrases found before for the same query, by fields and text. */
  readonly matched: Map<string, PhraseMatch>;
}

export interface FoundPhrases {
  /** In which documents a term stands for one of the phrases, as sets of bits, which terms may share. */
  readonly phrases: ReadonlyMap<number, Uint32Array>;
  /** Number of documents with one of the phrases. */
  readonly documents: number;
  /** The terms of the phrases' words, also where no document has a phrase. */
  readonly asked: ReadonlySet<number>;
  /** False: documents with a phrase have been left out. */
  readonly isComplete: boolean;
}

export interface FoundSynonyms extends FoundPhrases {
  /** Of single words. */
  readonly terms: ReadonlySet<number>;
}

const none: FoundSynonyms = { terms: new Set(), phrases: new Map(), documents: 0, asked: new Set(), isComplete: true };

/** `fields` ascending. */
export function* findSynonyms(
  texts: readonly string[],
  fields: readonly number[],
  parts: SynonymParts,
): Steps<FoundSynonyms> {
  if (texts.length === 0) return none;
  const { lexicon } = parts.index;
  const terms = new Set<number>();
  const phrases: string[] = [];
  for (const text of texts) {
    yield;
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
  parts: SynonymParts,
): Steps<FoundPhrases> {
  const found: PhraseMatch[] = [];
  for (const text of texts) found.push(yield* matchOnce(text, fields, { ...parts, cost: parts.synonymCost }));
  // By term, the indexes of the phrases that it is in: terms of the same phrases have the same set.
  const byTerm = new Map<number, number[]>();
  for (const [index, { terms }] of found.entries()) {
    for (const term of terms) byTerm.set(term, [...(byTerm.get(term) ?? []), index]);
  }
  const phrases = new Map<number, Uint32Array>();
  const unions = new Map<string, Uint32Array>();
  for (const [term, indexes] of byTerm) {
    const key = indexes.join();
    let documents = unions.get(key);
    if (documents === undefined) {
      documents = unionOf(indexes.map((index) => found[index]!.documents));
      unions.set(key, documents);
      yield;
    }
    phrases.set(term, documents);
  }
  return {
    phrases,
    documents: found.length === 0 ? 0 : countBits(unionOf(found.map(({ documents }) => documents))),
    asked: new Set(found.flatMap(({ asked }) => asked)),
    isComplete: found.every(({ isComplete }) => isComplete),
  };
}

/** The same as {@link matchPhrase}, but a phrase that was found before for the query is not looked for again. */
export function* matchOnce(
  text: string,
  fields: readonly number[],
  { matched, ...parts }: PhraseParts & Pick<SynonymParts, 'matched'>,
): Steps<PhraseMatch> {
  const key = `${fields.join()} ${text}`;
  const match = matched.get(key) ?? (yield* matchPhrase(text, fields, parts));
  matched.set(key, match);
  return match;
}

/** Of at least one set. A single one is returned itself, and must not be written to. */
function unionOf(all: readonly Uint32Array[]): Uint32Array {
  const sets = all.filter(({ length }) => length > 0);
  if (sets.length < 2) return sets[0] ?? all[0]!;
  const union = new Uint32Array(sets[0]!.length);
  for (const set of sets) addBits(union, set);
  return union;
}

/**
 * Whether a word or a phrase has all of its synonyms: that of a later page those of the first one, and what it has, the rules still
 * say how to find.
 */
export function hasAll({ terms: counted }: CountedWord, found: FoundPhrases | FoundSynonyms): boolean {
  const { phrases, asked, isComplete } = found;
  const known = new Set(counted.map(({ term }) => term));
  const wanted = 'terms' in found ? [...found.terms, ...phrases.keys()] : [...phrases.keys()];
  return (
    isComplete &&
    wanted.every((term) => known.has(term)) &&
    counted.every(({ term, form }) => form !== forms.synonymPhrase || asked.has(term))
  );
}
