/**
 * The documents that have a phrase: its words, one after the other, in one text of a field.
 *
 * Positions are not stored. Documents with all of the words are candidates, and the words of their texts are read again. A word
 * matches words with the same term, as everywhere; compounds match as one word or in parts: `spider-man` is `spiderman`.
 */
import type { Steps } from '../../../../../shared/kernel/steps.ts';
import type { Metadata } from '../../../../../shared/protocol/events.ts';
import { isHidden, keyOf, tokensOf } from '../analysis/analysis.ts';
import type { Lexicon } from '../lexicon/lexicon.ts';
import { LOOKUP_STEPS, type QueryCost, READ_STEPS } from './query-cost.ts';

/** The share of the limit of a query's cost after which no further text is read. */
const READ_SHARE = 0.9;
/** Candidates a step looks up. */
const LOOKUPS_A_STEP = 256;

/** What a query needs of the inverted index. */
export interface IndexedText {
  readonly fieldNames: readonly string[];
  readonly lexicon: Lexicon;
  readonly postings: {
    documents(term: number): number;
    /** The code of the term in the document; negative: the document does not have it. */
    find(term: number, document: number): number;
    listDocuments(term: number, documents: number[]): void;
  };
  /** One bit for each document. */
  readonly live: Uint32Array;
  /** Number of documents. */
  readonly size: number;
  /** How many documents have the term in several fields. */
  several(term: number): number;
}

export interface PhraseParts {
  readonly index: IndexedText;
  /** The metadata of a document as it is indexed. */
  readonly metadataOf: (document: number) => Metadata | undefined;
  readonly cost: QueryCost;
}

export interface PhraseMatch {
  /** The terms of its words, each once, the rarest first; none if a word has no documents. */
  readonly terms: readonly number[];
  /** The documents as a set of bits. */
  readonly documents: Uint32Array;
  /** False: documents have been left out, because reading their texts costs too much. */
  readonly isComplete: boolean;
}

/** `fields` ascending. A step reads one document. */
export function* matchPhrase(
  text: string,
  fields: readonly number[],
  { index, metadataOf, cost }: PhraseParts,
): Steps<PhraseMatch> {
  const { lexicon, postings, fieldNames } = index;
  const asks = lexicon.asksOf(text, fields).map((words) => {
    const terms = new Set(words.flatMap((word) => word.terms.map((term) => lexicon.terms.find(term))));
    return [...terms].filter((term) => term >= 0);
  });
  const documents = new Uint32Array(index.live.length);
  if (asks.length === 0 || asks.some((terms) => terms.length === 0)) return { terms: [], documents, isComplete: true };
  const countOf = (terms: readonly number[]): number => terms.reduce((sum, term) => sum + postings.documents(term), 0);
  const [rarest, ...others] = asks.toSorted((a, b) => countOf(a) - countOf(b));
  const candidates: number[] = [];
  for (const term of rarest!) postings.listDocuments(term, candidates);
  const phrase = new Phrase(text, lexicon);
  let isComplete = true;
  let lookups = 0;
  for (const document of candidates) {
    if (++lookups % LOOKUPS_A_STEP === 0) yield;
    cost.spend(LOOKUP_STEPS * others.length);
    if (!cost.allows(0, READ_SHARE)) {
      isComplete = false;
      break;
    }
    if (!others.every((terms) => terms.some((term) => postings.find(term, document) >= 0))) continue;
    if (phrase.isOneWord) {
      documents[document >>> 5]! |= 1 << (document & 31);
      continue;
    }
    const metadata = metadataOf(document);
    if (metadata === undefined) continue;
    for (const field of fields) {
      for (const text of textsOf(metadata, fieldNames[field]!)) {
        cost.spend(READ_STEPS * text.length);
        if (phrase.isIn(text, field)) documents[document >>> 5]! |= 1 << (document & 31);
      }
    }
    yield;
  }
  const byRarity = asks.flat().sort((a, b) => postings.documents(a) - postings.documents(b));
  return { terms: [...new Set(byRarity)], documents, isComplete };
}

function* textsOf(metadata: Metadata, name: string): Generator<string> {
  if (!Object.hasOwn(metadata, name)) return;
  const value = metadata[name]!;
  if (typeof value === 'object') yield* value;
  else yield String(value);
}

/** A word of a text, by what it is compared, and its bounds there. */
interface Place {
  readonly key: string;
  readonly start: number;
  readonly end: number;
}

function placesOf(text: string): readonly Place[] {
  const places: Place[] = [];
  for (const { text: word, start, end } of tokensOf(text)) {
    const key = isHidden(word) ? '' : keyOf(word);
    if (key !== '') places.push({ key, start, end });
  }
  return places.sort((a, b) => a.start - b.start);
}

class Phrase {
  private readonly lexicon: Lexicon;
  private readonly words: readonly Place[];
  /** By field and key. */
  private readonly terms = new Map<string, string>();

  constructor(text: string, lexicon: Lexicon) {
    this.lexicon = lexicon;
    this.words = placesOf(text);
  }

  get isOneWord(): boolean {
    return this.words.length === 1;
  }

  isIn(text: string, field: number): boolean {
    const places = placesOf(text);
    const tried = new Set<number>();
    return places.some((_, at) => this.continues({ places, tried, field }, at, 0));
  }

  /**
   * Whether what of the phrase begins where its word `from` does follows where the place `at` begins. Words of one group may
   * overlap, so there are several ways; what did not continue before is not tried again.
   */
  private continues(text: TextPlaces, at: number, from: number): boolean {
    const { words } = this;
    const { places, tried, field } = text;
    const state = from * places.length + at;
    if (tried.has(state)) return false;
    tried.add(state);
    for (let word = from; word < words.length && words[word]!.start === words[from]!.start; word++) {
      const term = this.termOf(words[word]!.key, field);
      const next = following(words, word);
      for (let place = at; place < places.length && places[place]!.start === places[at]!.start; place++) {
        if (this.termOf(places[place]!.key, field) !== term) continue;
        if (next === words.length) return true;
        const after = following(places, place);
        if (after < places.length && this.continues(text, after, next)) return true;
      }
    }
    return false;
  }

  private termOf(key: string, field: number): string {
    const name = `${field} ${key}`;
    let term = this.terms.get(name);
    if (term === undefined) {
      term = this.lexicon.termFor(key, field);
      this.terms.set(name, term);
    }
    return term;
  }
}

interface TextPlaces {
  readonly places: readonly Place[];
  /** What was tried: index of the word of the phrase · number of places + index of the place. */
  readonly tried: Set<number>;
  readonly field: number;
}

/** The first place that begins after the one at `at` has ended. */
function following(places: readonly Place[], at: number): number {
  const { end } = places[at]!;
  let next = at + 1;
  while (next < places.length && places[next]!.start < end) next++;
  return next;
}
