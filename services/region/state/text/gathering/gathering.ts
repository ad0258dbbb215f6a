/** What an index keeps of documents that were read and have no postings yet (`InvertedIndex.gather`). */
import { grown } from '../../../../../shared/kernel/grown.ts';
import { isAt } from '../../../../../shared/protocol/metadata-scan.ts';
import type { Lexicon } from '../lexicon/lexicon.ts';

const FIRST_DOCUMENTS = 1_024;
const FIRST_TERMS = 1_024;
/** Texts of so few characters come again and again, tags and categories: so many of them are taken apart once. */
const SHORT_CHARACTERS = 16;
const SHORT_TEXTS = 4_096;
const FIELDS_LIMIT = 255;

export class Gathering {
  private readonly lexicon: Pick<Lexicon, 'read' | 'found'>;
  /** Of each document one after another, a code a term. */
  codes = new Uint32Array(FIRST_TERMS);
  size = 0;
  /** By field: terms of the document being gathered. */
  readonly lengths = new Array<number>(FIELDS_LIMIT).fill(0);
  /** Words of the text read last. */
  found = new Uint32Array(0);
  /** By document: where its codes begin. */
  private codeStarts = new Uint32Array(FIRST_DOCUMENTS);
  /** By term: how many documents have it. */
  private counts = new Uint32Array(FIRST_TERMS);
  private readonly shorts = new Array<string | undefined>(SHORT_TEXTS).fill(undefined);
  private readonly shortWords = new Array<Uint32Array<ArrayBuffer>>(SHORT_TEXTS).fill(this.found);

  constructor(lexicon: Pick<Lexicon, 'read' | 'found'>) {
    this.lexicon = lexicon;
  }

  /** Reads `text.slice(start, end)`, which has that hash; answers how many words of `found` are its own. */
  read(text: string, start: number, end: number, hash: number): number {
    const { lexicon, shorts } = this;
    if (end - start > SHORT_CHARACTERS) {
      const length = lexicon.read(text, start, end);
      this.found = lexicon.found;
      return length;
    }
    const slot = hash & (SHORT_TEXTS - 1);
    const known = shorts[slot];
    if (known === undefined || known.length !== end - start || !isAt(known, text, start)) {
      const length = lexicon.read(text, start, end);
      shorts[slot] = text.slice(start, end);
      this.shortWords[slot] = lexicon.found.slice(0, length);
    }
    this.found = this.shortWords[slot]!;
    return this.found.length;
  }

  begin(document: number, terms: number, termLimit: number): void {
    if (document >= this.codeStarts.length) this.codeStarts = grown(this.codeStarts, document + 1);
    if (termLimit > this.counts.length) this.counts = grown(this.counts, termLimit);
    if (this.size + terms > this.codes.length) this.codes = grown(this.codes, this.size + terms);
    this.codeStarts[document] = this.size;
  }

  add(term: number, code: number): void {
    this.codes[this.size++] = code;
    this.counts[term]!++;
  }

  startOf(document: number): number {
    return this.codeStarts[document]!;
  }

  /** By term: how many postings those before it have. */
  starts(limit: number): Uint32Array {
    const starts = new Uint32Array(limit);
    for (let term = 1; term < limit; term++) starts[term] = starts[term - 1]! + (this.counts[term - 1] ?? 0);
    return starts;
  }
}
