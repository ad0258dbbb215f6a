/**
 * Finds the documents that match a query, and their scores. The formula is in `text-index.ts`.
 *
 * A document matches when it has every required clause, no prohibited one, and at least one that is not prohibited; a
 * query of prohibited clauses only matches all others, with score 0.
 *
 * The cheapest of four methods is used; each adds up a score in the order of the query, so they agree to the bit:
 *
 * - **Windows**: 2,048 documents at a time, term after term into scores that fit the processor's nearest cache.
 * - **Merge**: if such a window would be nearly empty, or one term has most of the documents: all postings merged in order of the
 *   document; runs of a single term are scored without the others.
 * - **Candidates**: if few documents can match (a selection, a required rare term), each is looked up in every term.
 * - **Around a common term**: rare terms and one common one. The documents with a rare term are candidates; the others are
 *   counted without scoring, once the page is full of candidates that exceed the highest score of the common term alone
 *   (Turtle and Flood: Query Evaluation: Strategies and Optimizations, 1995, calls this MaxScore).
 */
import { finish, type Steps } from '../../../../shared/kernel/steps.ts';
import type { Entities } from '../entities/entities.ts';
import type { InvertedIndex } from './inverted-index.ts';
import type { Clause } from './parse-text-query.ts';
import { Cursor, NO_MORE } from './postings.ts';
import { type Answer, Results, type Wanted, WINDOW, WINDOW_MASK, WINDOW_WORDS, WindowScores } from './results.ts';
import { type Saturation, TABLE_CODES } from './saturation.ts';

/** A clause with its terms. */
export interface ExpandedClause extends Pick<Clause, 'presence'> {
  /** Ascending; undefined: all fields. */
  readonly fields: readonly number[] | undefined;
  readonly terms: readonly { readonly term: number /** Boost × idf. */; readonly weight: number }[];
}

export interface Asked extends Wanted {
  /** Collects the matches; absent: the best are. */
  readonly results?: Results;
  readonly clauses: readonly ExpandedClause[];
}

interface MergedTerm {
  readonly weight: number;
  readonly fields: readonly number[] | undefined;
  readonly cursor: Cursor;
}

/** A search by windows. */
interface Merged {
  readonly clauses: readonly ExpandedClause[];
  /** Of each clause. */
  readonly lists: readonly (readonly Cursor[])[];
  readonly open: readonly Cursor[];
  readonly scores: WindowScores;
  readonly results: Results;
}

/** Cost of looking a document up in a term, in skipped postings. */
const LOOKUP_POSTINGS = 20;
/** Cost of a window of this many documents, in postings of a merge. */
const WINDOW_DOCUMENTS_POSTING = 32;

export class Scoring {
  /** How much one step does at least, if there is so much. Tests do less. */
  readonly step = { windows: 16, lookups: 2_048, postings: 8_192 };
  /** Work done since the start: for tests and benchmarks. */
  readonly work = { postings: 0, lookups: 0 };

  private readonly index: InvertedIndex;
  private readonly saturation: Saturation;
  private readonly entities: Entities;

  /** Free ones. */
  private readonly windowScores: WindowScores[] = [];

  constructor({ index, saturation, entities }: { index: InvertedIndex; saturation: Saturation; entities: Entities }) {
    this.index = index;
    this.saturation = saturation;
    this.entities = entities;
  }

  /** Must be called after a change, before {@link value} or {@link scoreOf}. */
  refresh(): void {
    this.saturation.refresh();
  }

  answer(asked: Asked): Answer {
    return finish(this.answering(asked));
  }

  /** A step is some thousand postings. The index must not change between them. */
  *answering(asked: Asked): Steps<Answer> {
    this.refresh();
    const { clauses, selection } = asked;
    const { postings } = this.index;
    let all = 0;
    let most = 0;
    let terms = 0;
    let fewest = selection?.count ?? NO_MORE;
    let rarest: ExpandedClause | undefined;
    for (const clause of clauses) {
      for (const { term } of clause.terms) {
        const documents = postings.documents(term);
        all += documents;
        if (documents > most) most = documents;
      }
      terms += clause.terms.length;
      if (clause.presence !== 'required') continue;
      const documents = clause.terms.reduce((sum, { term }) => sum + postings.documents(term), 0);
      if (documents >= fewest || clause.terms.length > 1) continue;
      fewest = documents;
      rarest = clause;
    }
    const results = asked.results ?? new Results(asked, this.entities);
    if (clauses.every(({ presence }) => presence === 'prohibited')) all += this.index.size;
    if (fewest < NO_MORE && fewest * terms * LOOKUP_POSTINGS < all) {
      const candidates: number[] = [];
      if (rarest === undefined) selection?.forEach((document) => void candidates.push(document));
      else for (const { term } of rarest.terms) postings.listDocuments(term, candidates);
      for (let at = 0; ; yield) {
        at = this.judge(candidates, at, clauses, results);
        if (at === candidates.length) return results.answer();
      }
    }
    const answer = yield* this.aroundCommonTerm(asked, all);
    if (answer !== undefined) return answer;
    const isPlain = clauses.every(({ presence }) => presence === 'optional');
    // A merge is faster a posting, but each change between lists costs, and more with more lists.
    const merging = (all - most) * terms;
    const withoutWindows = 2 * all + this.entities.size / WINDOW_DOCUMENTS_POSTING;
    if (isPlain && merging < withoutWindows) return yield* this.merge(clauses, results);
    // One that is not given back, because the search failed or ended between two steps, may have scores.
    const own = this.windowScores.pop() ?? new WindowScores();
    const found = yield* this.windows(asked, results, own);
    this.windowScores.push(own);
    return found;
  }

  /** The document's score; −1 if it does not match. */
  scoreOf(document: number, clauses: readonly ExpandedClause[]): number {
    const { postings } = this.index;
    let score = 0;
    let matches = false;
    let allProhibited = true;
    for (const { terms, fields, presence } of clauses) {
      let found = false;
      for (const { term, weight } of terms) {
        const code = postings.find(term, document);
        const value = code < 0 ? -1 : this.value(code, document, fields);
        if (value < 0) continue;
        if (presence === 'prohibited') return -1;
        found = true;
        score += weight * value;
      }
      this.work.lookups += terms.length;
      if (presence === 'prohibited') continue;
      allProhibited = false;
      if (presence === 'required' && !found) return -1;
      matches ||= found;
    }
    return matches || (allProhibited && this.index.isLive(document)) ? score : -1;
  }

  /** The term's share in a document's score before its weight; −1 if it is in none of the fields. */
  value(code: number, document: number, fields: readonly number[] | undefined): number {
    return fields === undefined ? this.saturation.at(code, document) : this.saturation.ofFields(code, document, fields);
  }

  /** Scores candidates from one on, some thousand look-ups of them; returns where to continue. */
  private judge(
    candidates: readonly number[],
    from: number,
    clauses: readonly ExpandedClause[],
    results: Results,
  ): number {
    const until = this.work.lookups + this.step.lookups;
    let at = from;
    while (at < candidates.length && this.work.lookups < until) {
      const document = candidates[at++]!;
      const score = this.scoreOf(document, clauses);
      if (score >= 0) results.add(document, score);
    }
    return at;
  }

  /** Undefined if it does not save work, or does not suffice. */
  private *aroundCommonTerm(asked: Asked, all: number): Steps<Answer | undefined> {
    const { clauses, selection, limit } = asked;
    if (selection !== undefined || asked.results !== undefined) return undefined;
    const { postings } = this.index;
    let common = -1;
    let ofCommon = 0;
    let count = 0;
    for (const { terms, presence, fields } of clauses) {
      if (presence !== 'optional' || fields !== undefined) return undefined;
      for (const { term } of terms) {
        const documents = postings.documents(term);
        count++;
        if (term === common) ofCommon += documents;
        if (common >= 0 && documents <= postings.documents(common)) continue;
        common = term;
        ofCommon = documents;
      }
    }
    const candidates = all - ofCommon;
    if (candidates < limit || candidates * (count + 1) * LOOKUP_POSTINGS > all) return undefined;
    const terms = clauses.flatMap((clause) => clause.terms);
    const rare = new Set(terms.filter(({ term }) => term !== common).map(({ term }) => term));
    const weight = terms.reduce((sum, { term, weight }) => (term === common ? sum + weight : sum), 0);
    const results = new Results(asked, this.entities);
    const found: number[] = [];
    for (const term of rare) postings.listDocuments(term, found);
    const documents = rare.size === 1 ? found : [...new Set(found)];
    for (let at = 0; ; yield) {
      at = this.judge(documents, at, clauses, results);
      if (at === documents.length) break;
    }
    // Strictly greater: among equals the entity decides, and those of the others are unknown.
    if (!(results.threshold > weight * this.saturation.limit)) return undefined;
    let more = 0;
    for (const document of documents) if (postings.find(common, document) < 0) more++;
    return { total: postings.documents(common) + more, best: results.answer().best };
  }

  /** The list that is behind is scored alone up to the next one's document; at the same document scores are added. */
  private *merge(clauses: readonly ExpandedClause[], results: Results): Steps<Answer> {
    const terms: MergedTerm[] = [];
    for (const { terms: own, fields } of clauses) {
      for (const { term, weight } of own) {
        terms.push({ weight, fields, cursor: new Cursor(this.index.postings, term) });
      }
    }
    while (this.mergeSome(terms, results)) yield;
    return results.answer();
  }

  /** False at the end of all lists. */
  private mergeSome(terms: readonly MergedTerm[], results: Results): boolean {
    const end = this.work.postings + this.step.postings;
    while (this.work.postings < end) {
      let first = 0;
      let document = NO_MORE;
      let until = NO_MORE;
      for (let i = 0; i < terms.length; i++) {
        const { next } = terms[i]!.cursor;
        if (next < document) {
          until = document;
          document = next;
          first = i;
        } else if (next < until) {
          until = next;
        }
      }
      if (document === NO_MORE) return false;
      if (document < until) {
        const { cursor, weight, fields } = terms[first]!;
        if (fields === undefined) this.offerBlock(cursor, weight, until, results);
        else this.offerFields(cursor, weight, fields, until, results);
        cursor.finish();
        continue;
      }
      let score = 0;
      let matches = false;
      for (let i = first; i < terms.length; i++) {
        const { cursor, weight, fields } = terms[i]!;
        if (cursor.next !== document) continue;
        const value = this.value(cursor.codes[cursor.at]!, document, fields);
        cursor.at++;
        cursor.finish();
        this.work.postings++;
        if (value < 0) continue;
        score += weight * value;
        matches = true;
      }
      if (matches) results.add(document, score);
    }
    return true;
  }

  /** The postings of the cursor's block below `end`, which are in no other list. */
  private offerBlock(cursor: Cursor, weight: number, end: number, results: Results): void {
    const { saturation } = this;
    const { table, fieldInTable } = saturation;
    const { lengths, fieldNames } = this.index;
    const fields = fieldNames.length;
    const { values, codes, blockEnd } = cursor;
    let at = cursor.at;
    for (; at < blockEnd; at++) {
      const document = values[at]!;
      if (document >= end) break;
      const code = codes[at]!;
      let value = 0;
      if (code < TABLE_CODES) value = table[(code << 8) | lengths[document * fields + fieldInTable[code]!]!]!;
      if (value === 0) value = saturation.of(code, document);
      results.add(document, weight * value);
    }
    this.work.postings += at - cursor.at;
    cursor.at = at;
  }

  private offerFields(cursor: Cursor, weight: number, fields: readonly number[], end: number, results: Results): void {
    const { saturation } = this;
    const { values, codes, blockEnd } = cursor;
    let at = cursor.at;
    for (; at < blockEnd; at++) {
      const document = values[at]!;
      if (document >= end) break;
      const value = saturation.ofFields(codes[at]!, document, fields);
      if (value >= 0) results.add(document, weight * value);
    }
    this.work.postings += at - cursor.at;
    cursor.at = at;
  }

  private *windows({ clauses }: Asked, results: Results, own: WindowScores): Steps<Answer> {
    const lists = clauses.map(({ terms }) => terms.map(({ term }) => new Cursor(this.index.postings, term)));
    const merged: Merged = { clauses, lists, open: lists.flat(), scores: own, results };
    for (let next = 0; ; yield) {
      next = this.someWindows(merged, next);
      if (next === NO_MORE) return results.answer();
    }
  }

  /** Scores some windows from one document on; returns where to continue, `NO_MORE` at the end of all lists. */
  private someWindows({ clauses, lists, open, scores, results }: Merged, from: number): number {
    const everything = clauses.every(({ presence }) => presence === 'prohibited');
    const isPlain = clauses.every(({ presence }) => presence === 'optional');
    const last = everything ? this.index.live.length * 32 : NO_MORE;
    const until = this.work.postings + this.step.postings;
    let next = from;
    for (let window = 0; window < this.step.windows && this.work.postings < until; window++) {
      let first = everything ? next : NO_MORE;
      if (!everything) for (const cursor of open) if (cursor.next < first) first = cursor.next;
      if (first >= last) return NO_MORE;
      const start = first - (first & WINDOW_MASK);
      next = start + WINDOW;
      if (isPlain) {
        for (let i = 0; i < clauses.length; i++) this.addClause(clauses[i]!, lists[i]!, next, scores, scores.touched);
        scores.harvestTouched(start, results);
      } else {
        this.match(clauses, lists, start, scores);
        scores.harvest(start, results);
      }
    }
    return next;
  }

  /** Leaves the matching documents of one window in `matching`, all that have a score in `touched`. */
  private match(
    clauses: readonly ExpandedClause[],
    cursors: readonly (readonly Cursor[])[],
    start: number,
    own: WindowScores,
  ): void {
    const { touched, matching, ofClause } = own;
    const hasRequired = clauses.some(({ presence }) => presence === 'required');
    if (hasRequired) matching.fill(0xffff_ffff);
    else if (clauses.every(({ presence }) => presence === 'prohibited')) {
      const from = start >>> 5;
      matching.fill(0);
      matching.set(this.index.live.subarray(from, from + WINDOW_WORDS));
    } else matching.fill(0);
    for (let i = 0; i < clauses.length; i++) {
      const { presence } = clauses[i]!;
      if (presence === 'prohibited') continue;
      this.addClause(clauses[i]!, cursors[i]!, start + WINDOW, own, ofClause);
      for (let word = 0; word < WINDOW_WORDS; word++) {
        const bits = ofClause[word]!;
        ofClause[word] = 0;
        touched[word]! |= bits;
        if (presence === 'required') matching[word]! &= bits;
        else if (!hasRequired) matching[word]! |= bits;
      }
    }
    for (let i = 0; i < clauses.length; i++) {
      if (clauses[i]!.presence !== 'prohibited') continue;
      this.addClause(clauses[i]!, cursors[i]!, start + WINDOW, own, ofClause);
      for (let word = 0; word < WINDOW_WORDS; word++) {
        touched[word]! |= ofClause[word]!;
        matching[word]! &= ~ofClause[word]!;
        ofClause[word] = 0;
      }
    }
  }

  private addClause(
    { terms, fields }: ExpandedClause,
    cursors: readonly Cursor[],
    end: number,
    { scores }: WindowScores,
    bits: Uint32Array,
  ): void {
    for (let i = 0; i < cursors.length; i++) {
      const cursor = cursors[i]!;
      while (cursor.next < end) {
        const before = cursor.at;
        if (fields === undefined) this.addBlock(cursor, terms[i]!.weight, end, scores, bits);
        else this.addFields(cursor, terms[i]!.weight, fields, end, scores, bits);
        this.work.postings += cursor.at - before;
        cursor.finish();
      }
    }
  }

  /** The postings of the cursor's block below `end`. */
  private addBlock(cursor: Cursor, weight: number, end: number, scores: Float64Array, bits: Uint32Array): void {
    const { saturation } = this;
    const { table, fieldInTable } = saturation;
    const { lengths, fieldNames } = this.index;
    const fields = fieldNames.length;
    const { values, codes, blockEnd } = cursor;
    let at = cursor.at;
    for (; at < blockEnd; at++) {
      const document = values[at]!;
      if (document >= end) break;
      const code = codes[at]!;
      let value = 0;
      if (code < TABLE_CODES) value = table[(code << 8) | lengths[document * fields + fieldInTable[code]!]!]!;
      if (value === 0) value = saturation.of(code, document);
      const place = document & WINDOW_MASK;
      scores[place]! += weight * value;
      bits[place >>> 5]! |= 1 << (place & 31);
    }
    cursor.at = at;
  }

  private addFields(
    cursor: Cursor,
    weight: number,
    fields: readonly number[],
    end: number,
    scores: Float64Array,
    bits: Uint32Array,
  ): void {
    const { saturation } = this;
    const { values, codes, blockEnd } = cursor;
    let at = cursor.at;
    for (; at < blockEnd; at++) {
      const document = values[at]!;
      if (document >= end) break;
      const value = saturation.ofFields(codes[at]!, document, fields);
      if (value < 0) continue;
      const place = document & WINDOW_MASK;
      scores[place]! += weight * value;
      bits[place >>> 5]! |= 1 << (place & 31);
    }
    cursor.at = at;
  }
}
