/**
 * Scoring by windows: 2,048 documents at a time, term after term into scores that fit the processor's nearest cache. `scoring.ts`
 * says when, and what a document's score is.
 */
import type { Steps } from '../../../../shared/kernel/steps.ts';
import type { InvertedIndex } from './inverted-index.ts';
import { Cursor, NO_MORE } from './postings.ts';
import { type ExpandedClause, type ExpandedQuery, type ExpandedTerm, hasBit } from './query/query.ts';
import { type Answer, type Results, WINDOW, WINDOW_MASK, WINDOW_WORDS, WindowScores } from './results.ts';
import { type Saturation, TABLE_CODES } from './saturation.ts';

/** A search by windows. */
interface Merged {
  readonly query: Pick<ExpandedQuery, 'clauses' | 'minimum'>;
  /** Of each clause. */
  readonly lists: readonly (readonly Cursor[])[];
  readonly open: readonly Cursor[];
  readonly scores: WindowScores;
  readonly results: Results;
}

export interface WindowsOptions {
  readonly index: InvertedIndex;
  readonly saturation: Saturation;
  /** How much one step does at least, if there is so much. */
  readonly step: { readonly windows: number; readonly postings: number };
  /** Work done since the start. */
  readonly work: { postings: number };
}

export class Windows {
  private readonly options: WindowsOptions;
  /** Free ones. */
  private readonly windowScores: WindowScores[] = [];

  constructor(options: WindowsOptions) {
    this.options = options;
  }

  /** A step is some windows. */
  *search(query: Merged['query'], results: Results): Steps<Answer> {
    // One that is not given back, because the search failed or ended between two steps, may have scores.
    const scores = this.windowScores.pop() ?? new WindowScores();
    const { postings } = this.options.index;
    const lists = query.clauses.map(({ terms }) => terms.map(({ term }) => new Cursor(postings, term)));
    const merged: Merged = { query, lists, open: lists.flat(), scores, results };
    for (let next = this.someWindows(merged, 0); next !== NO_MORE; next = this.someWindows(merged, next)) yield;
    this.windowScores.push(scores);
    return results.answer();
  }

  /** Scores some windows from one document on; returns where to continue, `NO_MORE` at the end of all lists. */
  private someWindows({ query, lists, open, scores, results }: Merged, from: number): number {
    const { index, step, work } = this.options;
    const { clauses, minimum } = query;
    const everything = clauses.every(({ presence }) => presence === 'prohibited');
    const isPlain = minimum <= 1 && clauses.every(({ presence }) => presence === 'optional');
    const last = everything ? index.live.length * 32 : NO_MORE;
    const until = work.postings + step.postings;
    let next = from;
    for (let window = 0; window < step.windows && work.postings < until; window++) {
      let first = everything ? next : NO_MORE;
      if (!everything) for (const cursor of open) if (cursor.next < first) first = cursor.next;
      if (first >= last) return NO_MORE;
      const start = first - (first & WINDOW_MASK);
      next = start + WINDOW;
      if (isPlain && !everything) {
        for (let i = 0; i < clauses.length; i++) this.addClause(clauses[i]!, lists[i]!, start, scores, scores.touched);
        scores.harvestTouched(start, results);
      } else {
        this.match(query, lists, start, scores);
        scores.harvest(start, results);
      }
    }
    return next;
  }

  /** Leaves the matching documents of one window in `matching`, all that have a score in `touched`. */
  private match(
    { clauses, minimum }: Merged['query'],
    cursors: readonly (readonly Cursor[])[],
    start: number,
    own: WindowScores,
  ): void {
    const { touched, matching, ofClause, counts } = own;
    const hasRequired = clauses.some(({ presence }) => presence === 'required');
    if (hasRequired) matching.fill(0xffff_ffff);
    else if (clauses.every(({ presence }) => presence === 'prohibited')) {
      const from = start >>> 5;
      matching.fill(0);
      matching.set(this.options.index.live.subarray(from, from + WINDOW_WORDS));
    } else matching.fill(0);
    if (minimum > 1) counts.clear();
    for (let i = 0; i < clauses.length; i++) {
      const { presence } = clauses[i]!;
      if (presence === 'prohibited') continue;
      this.addClause(clauses[i]!, cursors[i]!, start, own, ofClause);
      if (minimum > 1) counts.add(ofClause);
      for (let word = 0; word < WINDOW_WORDS; word++) {
        const bits = ofClause[word]!;
        ofClause[word] = 0;
        touched[word]! |= bits;
        if (presence === 'required') matching[word]! &= bits;
        else if (!hasRequired) matching[word]! |= bits;
      }
    }
    if (minimum > 1) counts.keepAtLeast(minimum, matching);
    for (let i = 0; i < clauses.length; i++) {
      if (clauses[i]!.presence !== 'prohibited') continue;
      this.addClause(clauses[i]!, cursors[i]!, start, own, ofClause);
      for (let word = 0; word < WINDOW_WORDS; word++) {
        touched[word]! |= ofClause[word]!;
        matching[word]! &= ~ofClause[word]!;
        ofClause[word] = 0;
      }
    }
  }

  private addClause(
    clause: ExpandedClause,
    cursors: readonly Cursor[],
    start: number,
    own: WindowScores,
    bits: Uint32Array,
  ): void {
    if (clause.terms.length < 2) {
      this.addTerms(clause, 1, cursors, start + WINDOW, { scores: own.scores, bits });
      return;
    }
    const { scores, parts, ofGroup } = own;
    this.addTerms(clause, clause.summed, cursors, start + WINDOW, { scores: parts, bits: ofGroup });
    for (let word = 0; word < WINDOW_WORDS; word++) {
      const found = ofGroup[word]! | 0;
      if (found === 0) continue;
      ofGroup[word] = 0;
      bits[word]! |= found;
      for (let rest = found; rest !== 0; rest &= rest - 1) {
        const place = (word << 5) | (31 - Math.clz32(rest & -rest));
        scores[place]! += parts[place]!;
        parts[place] = 0;
      }
    }
  }

  private addTerms(
    { terms, fields }: ExpandedClause,
    summed: number,
    cursors: readonly Cursor[],
    end: number,
    into: Into,
  ): void {
    const { work } = this.options;
    for (let i = 0; i < cursors.length; i++) {
      const cursor = cursors[i]!;
      const { base, weight, only } = terms[i]!;
      const isBest = i >= summed;
      while (cursor.next < end) {
        const before = cursor.at;
        if (only !== undefined || fields !== undefined) this.addSome(cursor, terms[i]!, fields, end, into, isBest);
        else if (isBest) this.bestOfBlock(cursor, base, weight, end, into);
        else this.addBlock(cursor, base, weight, end, into);
        work.postings += cursor.at - before;
        cursor.finish();
      }
    }
  }

  /** The postings of the cursor's block below `end`. */
  private addBlock(cursor: Cursor, base: number, weight: number, end: number, { scores, bits }: Into): void {
    const { saturation, index } = this.options;
    const { table, fieldInTable } = saturation;
    const { lengths, fieldNames } = index;
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
      scores[place]! += base + weight * value;
      bits[place >>> 5]! |= 1 << (place & 31);
    }
    cursor.at = at;
  }

  /** The same, of parts of which the best counts. */
  private bestOfBlock(cursor: Cursor, base: number, weight: number, end: number, { scores, bits }: Into): void {
    const { saturation } = this.options;
    const { values, codes, blockEnd } = cursor;
    let at = cursor.at;
    for (; at < blockEnd; at++) {
      const document = values[at]!;
      if (document >= end) break;
      const part = base + weight * saturation.at(codes[at]!, document);
      const place = document & WINDOW_MASK;
      if (part > scores[place]!) scores[place] = part;
      bits[place >>> 5]! |= 1 << (place & 31);
    }
    cursor.at = at;
  }

  /** The same, of a term that counts in some documents only, or in some fields. */
  private addSome(
    cursor: Cursor,
    { base, weight, only }: ExpandedTerm,
    fields: readonly number[] | undefined,
    end: number,
    { scores, bits }: Into,
    isBest: boolean,
  ): void {
    const { saturation } = this.options;
    const { values, codes, blockEnd } = cursor;
    let at = cursor.at;
    for (; at < blockEnd; at++) {
      const document = values[at]!;
      if (document >= end) break;
      if (only !== undefined && !hasBit(only, document)) continue;
      const code = codes[at]!;
      const value = fields === undefined ? saturation.at(code, document) : saturation.ofFields(code, document, fields);
      if (value < 0) continue;
      const place = document & WINDOW_MASK;
      const part = base + weight * value;
      if (!isBest) scores[place]! += part;
      else if (part > scores[place]!) scores[place] = part;
      bits[place >>> 5]! |= 1 << (place & 31);
    }
    cursor.at = at;
  }
}

/** Where the parts of a window's documents go. */
interface Into {
  readonly scores: Float64Array;
  readonly bits: Uint32Array;
}
