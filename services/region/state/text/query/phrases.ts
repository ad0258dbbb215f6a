/**
 * The documents that have a phrase: its words, one after the other, in one text of a field.
 *
 * Positions are not stored. Documents with all of the words are candidates, and the words of their texts are read again. A word
 * matches words with the same term, as everywhere; compounds match as one word or in parts: `spider-man` is `spiderman`.
 */
import { finish, type Steps } from '../../../../../shared/kernel/steps.ts';
import type { Metadata } from '../../../../../shared/protocol/events.ts';
import { isHidden, keyOf, tokensOf } from '../analysis/analysis.ts';
import type { Lexicon } from '../lexicon/lexicon.ts';
import { LOOKUP_STEPS, PLACE_STEPS, POSTING_STEPS, type QueryCost, READ_STEPS } from './query-cost.ts';

/** The share of the limit of a query's cost after which no further text is read. */
const READ_SHARE = 0.9;
/** How many documents are looked up in terms, words read, or places compared, before the caller may stop. */
const LOOKUPS_A_STEP = 256;
const PLACES_A_STEP = 256;

/** What a query needs of the inverted index. */
export interface IndexedText {
  readonly fieldNames: readonly string[];
  readonly lexicon: Lexicon;
  readonly postings: {
    documents(term: number): number;
    /** The code of the term in the document; negative: the document does not have it. */
    find(term: number, document: number): number;
    /** Number of blocks of the term's list. */
    blocks(term: number): number;
    /** Adds the documents of a block, at most 256. */
    listBlock(term: number, block: number, documents: number[]): void;
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
  /** The terms of its words, each once, the rarest first; none if a word has no documents, or none was looked at. */
  readonly terms: readonly number[];
  /** All terms of its words, whatever was found. */
  readonly asked: readonly number[];
  /** The documents as a set of bits; empty if there are none. */
  readonly documents: Uint32Array;
  /** False: documents have been left out, because reading their texts costs too much. */
  readonly isComplete: boolean;
}

/** `fields` ascending. A step looks up or reads a bounded number of postings and words. */
export function* matchPhrase(
  text: string,
  fields: readonly number[],
  { index, metadataOf, cost }: PhraseParts,
): Steps<PhraseMatch> {
  yield;
  const { lexicon, postings, fieldNames } = index;
  const asks = lexicon.asksOf(text, fields).map((words) => {
    const terms = new Set(words.flatMap((word) => word.terms.map((term) => lexicon.terms.find(term))));
    return [...terms].filter((term) => term >= 0);
  });
  const byRarity = asks.flat().sort((a, b) => postings.documents(a) - postings.documents(b));
  const asked = [...new Set(byRarity)];
  const nothing = { terms: [], asked, documents: new Uint32Array(0) };
  if (asks.length === 0 || asks.some((terms) => terms.length === 0)) return { ...nothing, isComplete: true };
  const countOf = (terms: readonly number[]): number => terms.reduce((sum, term) => sum + postings.documents(term), 0);
  const [rarest, ...others] = asks.toSorted((a, b) => countOf(a) - countOf(b));
  const listed = countOf(rarest!) * POSTING_STEPS;
  if (!cost.allows(listed, READ_SHARE)) return { ...nothing, isComplete: false };
  cost.spend(listed);
  const phrase = new Phrase(text, lexicon, cost);
  let documents = nothing.documents;
  let lookups = 0;
  for (const term of rarest!) {
    for (let block = 0; block < postings.blocks(term); block++) {
      const candidates: number[] = [];
      postings.listBlock(term, block, candidates);
      for (const document of candidates) {
        lookups += 1 + others.length;
        if (lookups >= LOOKUPS_A_STEP) {
          lookups = 0;
          yield;
        }
        cost.spend(LOOKUP_STEPS * others.length);
        if (!cost.allows(0, READ_SHARE)) {
          return { terms: documents.length === 0 ? [] : asked, asked, documents, isComplete: false };
        }
        if (!others.every((terms) => terms.some((own) => postings.find(own, document) >= 0))) continue;
        if (!phrase.isOneWord) {
          lookups = 0;
          yield;
          const metadata = metadataOf(document);
          if (metadata === undefined || !(yield* phrase.isInAny(metadata, fields, fieldNames))) continue;
        }
        if (documents.length === 0) documents = new Uint32Array(index.live.length);
        documents[document >>> 5]! |= 1 << (document & 31);
      }
    }
  }
  return { terms: asked, asked, documents, isComplete: true };
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

/** A step reads some words. */
function* readPlaces(text: string): Steps<readonly Place[]> {
  const places: Place[] = [];
  let read = 0;
  for (const { text: word, start, end } of tokensOf(text)) {
    if (++read % PLACES_A_STEP === 0) yield;
    const key = isHidden(word) ? '' : keyOf(word);
    if (key !== '') places.push({ key, start, end });
  }
  return places.sort((a, b) => a.start - b.start);
}

class Phrase {
  private readonly lexicon: Lexicon;
  private readonly cost: QueryCost;
  private readonly words: readonly Place[];
  /** By field and key. */
  private readonly terms = new Map<string, string>();

  constructor(text: string, lexicon: Lexicon, cost: QueryCost) {
    this.lexicon = lexicon;
    this.cost = cost;
    this.words = finish(readPlaces(text));
  }

  get isOneWord(): boolean {
    return this.words.length === 1;
  }

  /** Whether a text of these fields has it. */
  *isInAny(metadata: Metadata, fields: readonly number[], fieldNames: readonly string[]): Steps<boolean> {
    for (const field of fields) {
      for (const text of textsOf(metadata, fieldNames[field]!)) {
        this.cost.spend(READ_STEPS * text.length);
        if (yield* this.isIn(yield* readPlaces(text), field)) return true;
      }
    }
    return false;
  }

  /**
   * Whether the phrase begins at one of the places and continues word by word. Words of one group may overlap, so there are several
   * ways; what did not continue before is not tried again. False if it costs too much.
   */
  private *isIn(places: readonly Place[], field: number): Steps<boolean> {
    const { words, cost } = this;
    const tried = new Set<number>();
    let compared = 0;
    for (let first = 0; first < places.length; first++) {
      // What of the phrase begins with a word has to follow where a place begins: word · number of places + place.
      const open = [first];
      for (let state = open.pop(); state !== undefined; state = open.pop()) {
        if (tried.has(state)) continue;
        tried.add(state);
        const from = Math.floor(state / places.length);
        const at = state % places.length;
        for (let word = from; word < words.length && words[word]!.start === words[from]!.start; word++) {
          const term = this.termOf(words[word]!.key, field);
          const next = following(words, word);
          for (let place = at; place < places.length && places[place]!.start === places[at]!.start; place++) {
            cost.spend(PLACE_STEPS);
            if (++compared % PLACES_A_STEP === 0) {
              if (!cost.allows(0, READ_SHARE)) return false;
              yield;
            }
            if (this.termOf(places[place]!.key, field) !== term) continue;
            if (next === words.length) return true;
            const after = following(places, place);
            if (after < places.length) open.push(next * places.length + after);
          }
        }
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

/** The first place that begins after the one at `at` has ended. */
function following(places: readonly Place[], at: number): number {
  const { end } = places[at]!;
  let next = at + 1;
  while (next < places.length && places[next]!.start < end) next++;
  return next;
}
