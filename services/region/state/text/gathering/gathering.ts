/** The documents that an index has read and that have no postings yet (`InvertedIndex.gather`). */

import { isAt } from '../../../metadata/metadata.ts';
import { grown } from '../../memory/memory.ts';
import type { Lexicon } from '../lexicon/lexicon.ts';

const FIRST_DOCUMENTS = 1_024;
const FIRST_TERMS = 1_024;
/** Short texts (tags, categories) repeat: texts of up to this many characters, and this many of them, are analysed once. */
const SHORT_CHARACTERS = 16;
const SHORT_TEXTS = 4_096;
const FIELDS_LIMIT = 255;
const UNKNOWN = -2;

/** `text.slice(start, end)`, which has that hash, and the kind of its field. */
export interface GatheredValue {
  readonly text: string;
  readonly start: number;
  readonly end: number;
  readonly hash: number;
  readonly kind: number;
}

export class Gathering {
  private readonly lexicon: Pick<Lexicon, 'read' | 'found'>;
  /** For each document one after another: its terms, and a code for each. */
  private terms: Uint32Array<ArrayBuffer>;
  private codes: Uint32Array<ArrayBuffer>;
  private size = 0;
  /** Documents in order of arrival: the number of each, and the end of its terms. */
  private documents = new Uint32Array(FIRST_DOCUMENTS);
  private ends = new Uint32Array(FIRST_DOCUMENTS);
  private documentCount = 0;
  /** By field: terms of the document being gathered. */
  readonly lengths = new Array<number>(FIELDS_LIMIT).fill(0);
  /** Words of the text read last, and how many of them count. */
  found = new Uint32Array(0);
  counted = 0;
  /** By term: how many documents have it. */
  private counts = new Uint32Array(FIRST_TERMS);
  private readonly shorts = new Array<string | undefined>(SHORT_TEXTS).fill(undefined);
  private readonly shortWords = new Array<Uint32Array<ArrayBuffer>>(SHORT_TEXTS).fill(this.found);
  private readonly shortCounts = new Uint8Array(SHORT_TEXTS);
  private readonly shortKinds = new Uint8Array(SHORT_TEXTS);

  private readonly fieldNames: readonly string[];
  /** By the number of a name: its field, −1: none. */
  private readonly fields: number[] = [];

  /** `room`: initial capacity, in postings. The system allocates memory at the first access. */
  constructor(lexicon: Pick<Lexicon, 'read' | 'found'>, fieldNames: readonly string[], room = FIRST_TERMS) {
    this.lexicon = lexicon;
    this.terms = new Uint32Array(room);
    this.codes = new Uint32Array(room);
    this.fieldNames = fieldNames;
  }

  /** −1: it is not searched. */
  fieldOf(nameId: number, name: string): number {
    while (this.fields.length <= nameId) this.fields.push(UNKNOWN);
    if (this.fields[nameId] === UNKNOWN) this.fields[nameId] = this.fieldNames.indexOf(name);
    return this.fields[nameId]!;
  }

  /** Reads a value of a field of that kind; returns how many words of `found` belong to it. */
  read({ text, start, end, hash, kind }: GatheredValue): number {
    const { lexicon, shorts } = this;
    if (end - start > SHORT_CHARACTERS) {
      const { found, counted } = lexicon.read(text, start, end, kind);
      this.found = lexicon.found;
      this.counted = counted;
      return found;
    }
    const slot = (hash + kind) & (SHORT_TEXTS - 1);
    const known = shorts[slot];
    const isKnown = known !== undefined && known.length === end - start && this.shortKinds[slot] === kind;
    if (!isKnown || !isAt(known, text, start)) {
      const { found, counted } = lexicon.read(text, start, end, kind);
      shorts[slot] = text.slice(start, end);
      this.shortKinds[slot] = kind;
      this.shortWords[slot] = lexicon.found.slice(0, found);
      this.shortCounts[slot] = counted;
    }
    this.found = this.shortWords[slot]!;
    this.counted = this.shortCounts[slot]!;
    return this.found.length;
  }

  /** Begins a document, with this many terms to be added. */
  begin(document: number, terms: number, termLimit: number): void {
    const index = this.documentCount++;
    if (index === this.documents.length) {
      this.documents = grown(this.documents, index + 1);
      this.ends = grown(this.ends, index + 1);
    }
    if (termLimit > this.counts.length) this.counts = grown(this.counts, termLimit);
    if (this.size + terms > this.codes.length) {
      this.terms = grown(this.terms, this.size + terms);
      this.codes = grown(this.codes, this.size + terms);
    }
    this.documents[index] = document;
    this.ends[index] = this.size + terms;
  }

  add(term: number, code: number): void {
    this.terms[this.size] = term;
    this.codes[this.size++] = code;
    this.counts[term]!++;
  }

  /**
   * Terms and codes by ascending final number, those of a document from its start to the next one's; codes are below `codeLimit`.
   */
  inOrder(numbers: Int32Array, codeLimit: number): InOrder {
    let limit = 0;
    for (let index = 0; index < this.documentCount; index++)
      limit = Math.max(limit, numbers[this.documents[index]!]! + 1);
    const starts = new Uint32Array(limit + 1);
    for (let index = 0, start = 0; index < this.documentCount; index++) {
      const end = this.ends[index]!;
      starts[numbers[this.documents[index]!]! + 1] = end - start;
      start = end;
    }
    for (let number = 0; number < limit; number++) starts[number + 1]! += starts[number]!;
    const terms = new Uint32Array(this.size);
    const codes = codeLimit > 256 ? new Uint32Array(this.size) : new Uint8Array(this.size);
    for (let index = 0, at = 0; index < this.documentCount; index++) {
      let to = starts[numbers[this.documents[index]!]!]!;
      for (const end = this.ends[index]!; at < end; at++, to++) {
        terms[to] = this.terms[at]!;
        codes[to] = this.codes[at]!;
      }
    }
    return { terms, codes, starts };
  }

  /** By term: number of postings of the terms before it. */
  postingStarts(limit: number): Uint32Array {
    const starts = new Uint32Array(limit);
    for (let term = 1; term < limit; term++) starts[term] = starts[term - 1]! + (this.counts[term - 1] ?? 0);
    return starts;
  }
}

interface InOrder {
  readonly terms: Uint32Array;
  readonly codes: Uint8Array | Uint32Array;
  /** By number, and one more. */
  readonly starts: Uint32Array;
}
