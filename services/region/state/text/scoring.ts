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
import { Cursor, NO_MORE } from './postings.ts';
import { type ExpandedClause, type ExpandedQuery, type ExpandedTerm, hasBit } from './query/query.ts';
import { type Answer, Results, type Wanted } from './results.ts';
import { type Saturation, TABLE_CODES } from './saturation.ts';
import { Windows } from './windows.ts';

export interface Asked extends Wanted, Pick<ExpandedQuery, 'clauses' | 'minimum'> {
  /** Collects the matches; absent: the best are. */
  readonly results?: Results;
}

interface MergedTerm {
  readonly base: number;
  readonly weight: number;
  readonly clause: number;
  /** Whether the clause's part is the best, not a sum, with it. */
  readonly isBest: boolean;
  readonly fields: readonly number[] | undefined;
  readonly cursor: Cursor;
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
  private readonly windows: Windows;

  constructor({ index, saturation, entities }: { index: InvertedIndex; saturation: Saturation; entities: Entities }) {
    this.index = index;
    this.saturation = saturation;
    this.entities = entities;
    this.windows = new Windows({ index, saturation, step: this.step, work: this.work });
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
    const { clauses, minimum, selection } = asked;
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
        at = this.judge(candidates, at, asked, results);
        if (at === candidates.length) return results.answer();
      }
    }
    const answer = yield* this.aroundCommonTerm(asked, all);
    if (answer !== undefined) return answer;
    const isPlain =
      clauses.length > 0 &&
      clauses.every(({ presence, terms }) => presence === 'optional' && !terms.some(isRestricted));
    // A merge is faster a posting, but each change between lists costs, and more with more lists.
    const merging = (all - most) * terms;
    const withoutWindows = 2 * all + this.entities.size / WINDOW_DOCUMENTS_POSTING;
    if (isPlain && merging < withoutWindows) return yield* this.merge(asked, results);
    return yield* this.windows.search({ clauses, minimum }, results);
  }

  /** The document's score; −1 if it does not match. */
  scoreOf(document: number, { clauses, minimum }: Pick<ExpandedQuery, 'clauses' | 'minimum'>): number {
    let score = 0;
    let count = 0;
    let allProhibited = true;
    for (const clause of clauses) {
      const { presence, terms } = clause;
      const part = this.partOf(document, clause);
      this.work.lookups += terms.length;
      if (presence === 'prohibited') {
        if (part >= 0) return -1;
        continue;
      }
      allProhibited = false;
      if (part >= 0) {
        count++;
        score += part;
      } else if (presence === 'required') return -1;
    }
    if (allProhibited) return this.index.isLive(document) ? score : -1;
    return count >= Math.max(1, minimum) ? score : -1;
  }

  /** What a clause adds to the document's score; −1 if the document does not have it. */
  private partOf(document: number, { terms, fields, summed }: ExpandedClause): number {
    const { postings } = this.index;
    let sum = 0;
    let found = false;
    for (let i = 0; i < terms.length; i++) {
      const { term, base, weight, only } = terms[i]!;
      if (only !== undefined && !hasBit(only, document)) continue;
      const code = postings.find(term, document);
      const value = code < 0 ? -1 : this.value(code, document, fields);
      if (value < 0) continue;
      found = true;
      const part = base + weight * value;
      if (i < summed) sum += part;
      else if (part > sum) sum = part;
    }
    return found ? sum : -1;
  }

  /** The term's share in a document's score before its weight; −1 if it is in none of the fields. */
  value(code: number, document: number, fields: readonly number[] | undefined): number {
    return fields === undefined ? this.saturation.at(code, document) : this.saturation.ofFields(code, document, fields);
  }

  /** Scores candidates from one on, some thousand look-ups of them; returns where to continue. */
  private judge(candidates: readonly number[], from: number, asked: Asked, results: Results): number {
    const until = this.work.lookups + this.step.lookups;
    let at = from;
    while (at < candidates.length && this.work.lookups < until) {
      const document = candidates[at++]!;
      const score = this.scoreOf(document, asked);
      if (score >= 0) results.add(document, score);
    }
    return at;
  }

  /** Undefined if it does not save work, or does not suffice. */
  private *aroundCommonTerm(asked: Asked, all: number): Steps<Answer | undefined> {
    const { clauses, minimum, selection, limit } = asked;
    if (selection !== undefined || minimum > 1 || asked.results !== undefined) return undefined;
    const { postings } = this.index;
    let common = -1;
    let ofCommon = 0;
    let count = 0;
    for (const { terms, presence, fields } of clauses) {
      if (presence !== 'optional' || fields !== undefined || terms.some(isRestricted)) return undefined;
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
    const { limit: most } = this.saturation;
    const highest = terms.reduce(
      (sum, { term, base, weight }) => sum + (term === common ? base + weight * most : 0),
      0,
    );
    const results = new Results(asked, this.entities);
    const found: number[] = [];
    for (const term of rare) postings.listDocuments(term, found);
    const documents = rare.size === 1 ? found : [...new Set(found)];
    for (let at = 0; ; yield) {
      at = this.judge(documents, at, asked, results);
      if (at === documents.length) break;
    }
    // Strictly greater: among equals the entity decides, and those of the others are unknown.
    if (!(results.threshold > highest)) return undefined;
    let more = 0;
    for (const document of documents) if (postings.find(common, document) < 0) more++;
    return { total: postings.documents(common) + more, best: results.answer().best };
  }

  /** The list that is behind is scored alone up to the next one's document; at the same document scores are added. */
  private *merge({ clauses, minimum }: Asked, results: Results): Steps<Answer> {
    const terms: MergedTerm[] = [];
    for (const [clause, { terms: own, fields, summed }] of clauses.entries()) {
      for (const [at, { term, base, weight }] of own.entries()) {
        terms.push({
          base,
          weight,
          clause,
          isBest: at >= summed,
          fields,
          cursor: new Cursor(this.index.postings, term),
        });
      }
    }
    while (this.mergeSome(terms, minimum, results)) yield;
    return results.answer();
  }

  /** False at the end of all lists. */
  private mergeSome(terms: readonly MergedTerm[], minimum: number, results: Results): boolean {
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
        const { cursor, fields } = terms[first]!;
        // What only one list has is of one clause.
        if (minimum > 1) this.skip(cursor, until);
        else if (fields === undefined) this.offerBlock(terms[first]!, until, results);
        else this.offerFields(terms[first]!, fields, until, results);
        cursor.finish();
        continue;
      }
      let score = 0;
      let count = 0;
      // The clause of the terms before, and what it has added.
      let clause = -1;
      let part = 0;
      for (let i = first; i < terms.length; i++) {
        const { cursor, base, weight, fields, clause: own, isBest } = terms[i]!;
        if (cursor.next !== document) continue;
        const value = this.value(cursor.codes[cursor.at]!, document, fields);
        cursor.at++;
        cursor.finish();
        this.work.postings++;
        if (value < 0) continue;
        const more = base + weight * value;
        if (own !== clause) {
          score += part;
          count++;
          clause = own;
          part = more;
        } else if (!isBest) part += more;
        else if (more > part) part = more;
      }
      if (count >= Math.max(1, minimum)) results.add(document, score + part);
    }
    return true;
  }

  /** Passes the postings of the cursor's block below `end`. */
  private skip(cursor: Cursor, end: number): void {
    const { values, blockEnd } = cursor;
    let at = cursor.at;
    while (at < blockEnd && values[at]! < end) at++;
    this.work.postings += at - cursor.at;
    cursor.at = at;
  }

  /** The postings of the cursor's block below `end`, which are in no other list. */
  private offerBlock({ cursor, base, weight }: MergedTerm, end: number, results: Results): void {
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
      results.add(document, base + weight * value);
    }
    this.work.postings += at - cursor.at;
    cursor.at = at;
  }

  private offerFields(
    { cursor, base, weight }: MergedTerm,
    fields: readonly number[],
    end: number,
    results: Results,
  ): void {
    const { saturation } = this;
    const { values, codes, blockEnd } = cursor;
    let at = cursor.at;
    for (; at < blockEnd; at++) {
      const document = values[at]!;
      if (document >= end) break;
      const value = saturation.ofFields(codes[at]!, document, fields);
      if (value >= 0) results.add(document, base + weight * value);
    }
    this.work.postings += at - cursor.at;
    cursor.at = at;
  }
}

function isRestricted({ only }: ExpandedTerm): boolean {
  return only !== undefined;
}
