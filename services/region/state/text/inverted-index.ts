/**
 * The inverted index: which live documents have which terms, and the integers BM25 is made of.
 *
 * Invariants, true after every `put` and `remove`: document count, field lengths, sums of lengths and document
 * frequencies are those of the live documents and of nothing else; no posting names a document that is gone; a term
 * without documents is in neither dictionary nor vocabulary. A change costs in proportion to its document.
 */
import { assert } from '../../../../shared/kernel/kernel.ts';
import type { Metadata, MetadataValue } from '../../../../shared/protocol/events.ts';
import type { Analysis } from './analysis.ts';
import { Postings, STRIDE, Term } from './postings.ts';
import type { WeightedTerm } from './text.ts';
import { Vocabulary } from './vocabulary.ts';

/** Where a document's postings are: the inverse of the index. `postings[i].data` holds it at index `indexes[i]`. */
interface Indexed {
  readonly postings: readonly Postings[];
  readonly indexes: Uint32Array;
}

const FIRST_SLOTS = 1_024;

export class InvertedIndex {
  readonly vocabulary = new Vocabulary();
  /** Entity of each slot. Slots are small numbers that stand for documents in postings; they are used again. */
  entities = new Float64Array(FIRST_SLOTS);
  /** By field, then slot: number of terms. */
  lengths: Uint32Array[];
  /** By field: sum of `lengths` over the live documents. */
  readonly lengthSums: number[];

  private readonly fieldNames: readonly string[];
  private readonly analysis: Analysis;
  private readonly terms = new Map<string, Term>();
  private readonly slots = new Map<number, number>();
  private readonly indexed: (Indexed | undefined)[] = [];
  private readonly freeSlots: number[] = [];
  private changes = 0;

  constructor({ fieldNames, analysis }: { fieldNames: readonly string[]; analysis: Analysis }) {
    this.fieldNames = fieldNames;
    this.analysis = analysis;
    this.lengths = fieldNames.map(() => new Uint32Array(FIRST_SLOTS));
    this.lengthSums = fieldNames.map(() => 0);
  }

  /** Number of live documents. */
  get size(): number {
    return this.slots.size;
  }

  /** Slots are below this. */
  get slotLimit(): number {
    return this.entities.length;
  }

  term(text: string): Term | undefined {
    return this.terms.get(text);
  }

  /** The slots of the live documents. */
  liveSlots(): Iterable<number> {
    return this.slots.values();
  }

  put(entity: number, metadata: Metadata): void {
    this.remove(entity);
    const slot = this.freeSlots.pop() ?? this.indexed.length;
    if (slot === this.slotLimit) this.growSlots();
    this.slots.set(entity, slot);
    this.entities[slot] = entity;
    this.changes++;
    const postings: Postings[] = [];
    const indexes: number[] = [];
    for (const [field, name] of this.fieldNames.entries()) {
      const value = Object.hasOwn(metadata, name) ? metadata[name] : undefined;
      let length = 0;
      for (const word of value === undefined ? [] : this.analysis.words(textOf(value))) {
        const text = this.analysis.term(word);
        if (text === '') continue;
        length++;
        const list = this.postingsOf(text, field);
        if (list.endsWith(slot)) {
          list.repeat();
          continue;
        }
        indexes.push(list.append(slot, postings.length));
        postings.push(list);
      }
      this.lengths[field]![slot] = length;
      this.lengthSums[field]! += length;
    }
    this.indexed[slot] = { postings, indexes: Uint32Array.from(indexes) };
  }

  /** Idempotent. */
  remove(entity: number): void {
    const slot = this.slots.get(entity);
    if (slot === undefined) return;
    const { postings, indexes } = this.indexed[slot]!;
    this.changes++;
    for (const [ordinal, list] of postings.entries()) {
      const index = indexes[ordinal]!;
      assert(list.data[index * STRIDE] === slot, 'a posting names its document', () => ({
        entity,
        term: list.term.text,
      }));
      list.removeAt(index, (other, otherOrdinal) => {
        this.indexed[other]!.indexes[otherOrdinal] = index;
      });
      this.forget(list);
    }
    for (const field of this.fieldNames.keys()) this.lengthSums[field]! -= this.lengths[field]![slot]!;
    this.indexed[slot] = undefined;
    this.slots.delete(entity);
    this.freeSlots.push(slot);
  }

  significantTerms(entity: number, limit: number): WeightedTerm[] {
    const slot = this.slots.get(entity);
    if (slot === undefined) return [];
    const { postings, indexes } = this.indexed[slot]!;
    const weights = new Map<string, number>();
    for (const [ordinal, { data, term }] of postings.entries()) {
      const frequency = data[indexes[ordinal]! * STRIDE + 1]!;
      const idf = Math.log(1 + (this.size - term.documents + 0.5) / (term.documents + 0.5));
      weights.set(term.text, (weights.get(term.text) ?? 0) + frequency * idf);
    }
    const terms = [...weights].map(([term, weight]) => ({ term, weight }));
    return terms.sort((a, b) => b.weight - a.weight || (a.term < b.term ? -1 : 1)).slice(0, limit);
  }

  /** The list to append to, its term counted once for the document being added. */
  private postingsOf(text: string, field: number): Postings {
    let term = this.terms.get(text);
    if (term === undefined) {
      term = new Term(text, this.fieldNames.length);
      this.terms.set(text, term);
      this.vocabulary.add(text);
    }
    if (term.change !== this.changes) {
      term.change = this.changes;
      term.documents++;
    }
    let list = term.postings[field];
    if (list === undefined) {
      list = new Postings(term, field);
      term.postings[field] = list;
    }
    return list;
  }

  /** After one posting of the document being removed is gone from the list. */
  private forget({ term, field, count }: Postings): void {
    if (count === 0) term.postings[field] = undefined;
    if (term.change === this.changes) return;
    term.change = this.changes;
    term.documents--;
    if (term.documents > 0) return;
    this.terms.delete(term.text);
    this.vocabulary.remove(term.text);
  }

  private growSlots(): void {
    const capacity = this.slotLimit * 2;
    const entities = new Float64Array(capacity);
    entities.set(this.entities);
    this.entities = entities;
    this.lengths = this.lengths.map((lengths) => {
      const grown = new Uint32Array(capacity);
      grown.set(lengths);
      return grown;
    });
  }
}

function textOf(value: MetadataValue): string {
  return typeof value === 'object' ? value.join(' ') : String(value);
}
