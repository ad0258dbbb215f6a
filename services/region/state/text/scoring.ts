/**
 * Which documents a query matches, and their scores: one term after the other, into arrays by slot. The formula is in
 * `text-index.ts`.
 *
 * A document matches when it has every required clause, no prohibited one, and at least one that is not prohibited; a
 * query of prohibited clauses only matches all others, with score 0.
 */
import { assert } from '../../../../shared/kernel/kernel.ts';
import type { Schema } from '../../../../shared/schema/schema.ts';
import type { InvertedIndex } from './inverted-index.ts';
import type { Clause } from './parse-text-query.ts';
import { type Postings, STRIDE, type Term } from './postings.ts';

/** A clause with the terms it stands for. */
export interface ExpandedClause extends Omit<Clause, 'match'> {
  readonly terms: readonly string[];
}

const MATCHED = 1;
const PROHIBITED = 2;

export class Scoring {
  private readonly index: InvertedIndex;
  private readonly boosts: readonly number[];
  private readonly k1: number;
  private readonly b: number;

  // By slot; all zero between searches.
  private scores = new Float64Array(0);
  private frequencies = new Float64Array(0);
  private flags = new Uint8Array(0);
  /** How many required clauses the document has, counted without a miss from the first. */
  private satisfied = new Uint8Array(0);
  /** Slots whose flags are not zero: the first `touchedCount`. */
  private touched = new Uint32Array(0);
  private touchedCount = 0;
  /** Slots the present term was found in. */
  private found = new Uint32Array(0);
  private running = false;

  constructor({
    index,
    boosts,
    bm25,
  }: {
    index: InvertedIndex;
    boosts: readonly number[];
    bm25: Schema['bm25'];
  }) {
    this.index = index;
    this.boosts = boosts;
    this.k1 = bm25.k1;
    this.b = bm25.b;
  }

  /** Calls `onMatch` once for each matching document, in no promised order. */
  run(clauses: readonly ExpandedClause[], onMatch: (entity: number, score: number) => void): void {
    assert(!this.running, 'a search does not search');
    this.running = true;
    this.reserve();
    try {
      let required = 0;
      for (const clause of clauses) {
        for (const text of clause.terms) {
          const term = this.index.term(text);
          if (term !== undefined) this.add(term, clause, required);
        }
        if (clause.presence === 'required') required++;
      }
      if (clauses.every(({ presence }) => presence === 'prohibited')) this.matchAll();
      const { entities } = this.index;
      for (let i = 0; i < this.touchedCount; i++) {
        const slot = this.touched[i]!;
        if (this.flags[slot] === MATCHED && this.satisfied[slot] === required) {
          onMatch(entities[slot]!, this.scores[slot]!);
        }
      }
    } finally {
      this.reset();
      this.running = false;
    }
  }

  private add(term: Term, clause: ExpandedClause, required: number): void {
    const foundCount = this.collect(term, clause.fields);
    if (clause.presence === 'prohibited') {
      for (let i = 0; i < foundCount; i++) {
        const slot = this.found[i]!;
        this.frequencies[slot] = 0;
        this.touch(slot, PROHIBITED);
      }
      return;
    }
    const { k1 } = this;
    const n = term.documents;
    const idf = Math.log(1 + (this.index.size - n + 0.5) / (n + 0.5));
    const weight = clause.boost * idf * (k1 + 1);
    const isRequired = clause.presence === 'required';
    for (let i = 0; i < foundCount; i++) {
      const slot = this.found[i]!;
      const tf = this.frequencies[slot]!;
      this.frequencies[slot] = 0;
      this.scores[slot]! += (weight * tf) / (k1 + tf);
      this.touch(slot, MATCHED);
      if (isRequired && this.satisfied[slot] === required) this.satisfied[slot] = required + 1;
    }
  }

  /** Leaves tf(term, document) in `frequencies` for the slots in `found`; answers their number. */
  private collect(term: Term, fields: readonly number[]): number {
    let foundCount = 0;
    for (const field of fields) {
      const postings = term.postings[field];
      if (postings !== undefined) foundCount = this.collectField(postings, foundCount);
    }
    return foundCount;
  }

  private collectField({ data, count, field }: Postings, alreadyFound: number): number {
    const { frequencies, found, index, b } = this;
    const boost = this.boosts[field]!;
    const lengths = index.lengths[field]!;
    const average = index.lengthSums[field]! / index.size;
    let foundCount = alreadyFound;
    for (let at = 0; at < count * STRIDE; at += STRIDE) {
      const slot = data[at]!;
      const before = frequencies[slot]!;
      if (before === 0) found[foundCount++] = slot;
      frequencies[slot] = before + (boost * data[at + 1]!) / (1 - b + (b * lengths[slot]!) / average);
    }
    return foundCount;
  }

  private matchAll(): void {
    for (const slot of this.index.liveSlots()) this.touch(slot, MATCHED);
  }

  private touch(slot: number, flag: number): void {
    const flags = this.flags[slot]!;
    if (flags === 0) this.touched[this.touchedCount++] = slot;
    this.flags[slot] = flags | flag;
  }

  private reserve(): void {
    const slots = this.index.slotLimit;
    if (this.scores.length === slots) return;
    this.scores = new Float64Array(slots);
    this.frequencies = new Float64Array(slots);
    this.flags = new Uint8Array(slots);
    this.satisfied = new Uint8Array(slots);
    this.touched = new Uint32Array(slots);
    this.found = new Uint32Array(slots);
  }

  private reset(): void {
    for (let i = 0; i < this.touchedCount; i++) {
      const slot = this.touched[i]!;
      this.scores[slot] = 0;
      this.flags[slot] = 0;
      this.satisfied[slot] = 0;
    }
    this.touchedCount = 0;
  }
}
