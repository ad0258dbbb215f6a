/**
 * One term's occurrences in one field: a growable array of (slot, frequency, ordinal), in no order.
 *
 * `ordinal` says which of its document's postings this is. A posting is removed by moving the last one into its place and
 * telling that one's document, so removing a document costs in proportion to the document, not to its terms' documents.
 */
import { assert } from '../../../../shared/kernel/kernel.ts';

/** Numbers a posting. */
export const STRIDE = 3;
const FIRST_CAPACITY = 2;

export class Postings {
  readonly term: Term;
  readonly field: number;
  /** `count` postings of `STRIDE` numbers: slot, frequency, ordinal. */
  data = new Uint32Array(FIRST_CAPACITY * STRIDE);
  count = 0;

  constructor(term: Term, field: number) {
    this.term = term;
    this.field = field;
  }

  /** Whether the latest posting is the slot's: while a document is being added, whether it has the term already. */
  endsWith(slot: number): boolean {
    return this.count > 0 && this.data[(this.count - 1) * STRIDE] === slot;
  }

  /** One more occurrence for the latest posting. */
  repeat(): void {
    this.data[(this.count - 1) * STRIDE + 1]! += 1;
  }

  /** Appends a posting of frequency 1; answers its index. */
  append(slot: number, ordinal: number): number {
    if (this.count * STRIDE === this.data.length) this.resize(this.count * 2);
    const at = this.count * STRIDE;
    this.data[at] = slot;
    this.data[at + 1] = 1;
    this.data[at + 2] = ordinal;
    return this.count++;
  }

  /** Removes a posting. When another one takes its index, `moved` learns whose: the posting `ordinal` of `slot`. */
  removeAt(index: number, moved: (slot: number, ordinal: number) => void): void {
    assert(index < this.count, 'a posting to remove is there', () => ({ index, count: this.count }));
    this.count--;
    if (index !== this.count) {
      const { data } = this;
      data.copyWithin(index * STRIDE, this.count * STRIDE, (this.count + 1) * STRIDE);
      moved(data[index * STRIDE]!, data[index * STRIDE + 2]!);
    }
    if (this.count > FIRST_CAPACITY && this.count * STRIDE * 4 < this.data.length) this.resize(this.count * 2);
  }

  private resize(capacity: number): void {
    const data = new Uint32Array(capacity * STRIDE);
    data.set(this.data.subarray(0, this.count * STRIDE));
    this.data = data;
  }
}

export class Term {
  readonly text: string;
  /** By field; undefined where no document has it. */
  readonly postings: (Postings | undefined)[];
  /** Number of live documents that have the term in any field. */
  documents = 0;
  /** The last change that counted this term: a document counts once, in however many fields it has the term. */
  change = 0;

  constructor(text: string, fields: number) {
    this.text = text;
    this.postings = new Array<Postings | undefined>(fields).fill(undefined);
  }
}
