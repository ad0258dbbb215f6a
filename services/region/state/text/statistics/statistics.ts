/**
 * What fixes the scores of a query besides the documents themselves: the terms that its words stand for, how each came to do so,
 * the number of documents, that which makes the idf of each term, and the average lengths. The first page of a search takes them from the index, and its cursor
 * carries them on: so a document that is not changed has the same score, to the bit, on every page and in every region, whatever
 * is written in between.
 *
 * As bytes, big-endian, integers as varints (seven bits a byte, the lowest first):
 *
 *     documents · fields 1 · fields × (average length, float64; 0: no document has the field) ·
 *     kinds · kinds × (factor, float64; form 1) · relaxed 1 · words · words × (4 · terms + left out · terms × (key 8, documents, [kind]))
 *
 * The kind of a term is left out if there is only one. Relaxed is 1 if fewer words suffice than were wanted; left out is the place
 * of a word's in {@link leftOut}. A key is that of `lexicon/string-table.ts`, which is the term itself if
 * it is short and a hash of 63 bits otherwise.
 */
import { Refusal } from '../../../../../shared/errors/errors.ts';

/** How a term of the index came to stand for a word of the query. */
export interface Form {
  readonly match: 'exact' | 'prefix' | 'typo' | 'wildcard' | 'synonym' | 'phrase';
  /** How close it is to the word, in plain text: a multiple of k1 + 1 that it adds besides BM25. 0 in lunr's syntax. */
  readonly level: number;
  /** Edits between the two, of a typo in plain text. */
  readonly distance?: number;
}

/** Cursors carry the place of a form in this list: a new one is added at the end. */
export const forms = {
  word: { match: 'exact', level: 0 },
  exact: { match: 'exact', level: 3 },
  prefix: { match: 'prefix', level: 2 },
  oneEdit: { match: 'typo', level: 1, distance: 1 },
  twoEdits: { match: 'typo', level: 0, distance: 2 },
  wildcard: { match: 'wildcard', level: 0 },
  fuzzy: { match: 'typo', level: 0 },
  phraseWord: { match: 'phrase', level: 0 },
  phrase: { match: 'phrase', level: 3 },
  synonym: { match: 'synonym', level: 2 },
  synonymPhrase: { match: 'synonym', level: 2 },
} as const satisfies Record<string, Form>;

/** A term of a word of the query. */
export interface CountedTerm {
  readonly term: number;
  /** How many documents its idf is that of. */
  readonly documents: number;
  /** Factor of its weight. */
  readonly factor: number;
  readonly form: Form;
}

const leftOut = ['nothing', 'terms', 'typos', 'all'] as const;

/** A word of the query, or a phrase: the terms it stands for. */
export interface CountedWord {
  readonly terms: readonly CountedTerm[];
  /** What of it was left out: nothing, some of its terms, some of its typos, or all of it. */
  readonly leftOut: (typeof leftOut)[number];
}

/** What the statistics are taken from: an inverted index. */
export interface CountedIndex {
  /** Number of documents. */
  readonly size: number;
  readonly postings: { documents(term: number): number };
  readonly fieldNames: readonly string[];
  /** By field: sum of lengths, and number of the documents that have it. */
  readonly lengthSums: readonly number[];
  readonly fieldDocuments: readonly number[];
  readonly lexicon: {
    readonly terms: {
      keyOfId(term: number): { readonly low: number; readonly high: number };
      findKey(low: number, high: number): number;
    };
  };
}

/** Statistics of one query. The words are asked for in the order of the query, each once. */
export interface Statistics {
  /** By field; undefined: those of the index. */
  readonly averages: readonly number[] | undefined;
  /** Whether fewer words suffice than are wanted, because an earlier page found none with as many. */
  readonly isRelaxed: boolean;
  /** Of a term in so many documents. */
  idf(documents: number): number;
  /** The next word, if its terms are known already; otherwise they are found in the index and {@link record}ed. */
  next(): CountedWord | undefined;
  /** The word with those of the found terms that are used: all, if the query has not too many. */
  record(word: CountedWord): CountedWord;
  /** At most {@link STATISTICS_LIMIT_BYTES}. To be read before the index changes. */
  bytes(isRelaxed: boolean): Uint8Array;
}

export const STATISTICS_LIMIT_BYTES = 5_600;
/** How many bytes the terms of a query may take: the later ones of a word are left out, never its first. */
const TERMS_LIMIT_BYTES = 4_700;
const FIRST_TERMS_LIMIT_BYTES = 5_400;
const KEY_BYTES = 8;
const KIND_BYTES = 9;
const allForms: readonly Form[] = Object.values(forms);
/** A count that takes no more than four bytes as a varint. */
const COUNT_LIMIT = 2 ** 28;

export function inverseDocumentFrequency(size: number, documents: number): number {
  return Math.log(1 + (size - documents + 0.5) / (documents + 0.5));
}

/** Statistics as the index has them. */
export class PresentStatistics implements Statistics {
  readonly averages = undefined;
  private readonly index: CountedIndex;
  readonly isRelaxed = false;
  private readonly words: CountedWord[] = [];
  private readonly kinds: Pick<CountedTerm, 'factor' | 'form'>[] = [];
  private spentBytes = 0;

  constructor(index: CountedIndex) {
    this.index = index;
  }

  idf(documents: number): number {
    return inverseDocumentFrequency(this.index.size, documents);
  }

  next(): undefined {
    return undefined;
  }

  record(word: CountedWord): CountedWord {
    let used = 0;
    for (const found of word.terms) {
      const isNew = this.kindOf(found) < 0;
      const bytes = KEY_BYTES + varintBytes(found.documents) + 2 + (isNew ? KIND_BYTES : 0);
      if (this.spentBytes + bytes > (used === 0 ? FIRST_TERMS_LIMIT_BYTES : TERMS_LIMIT_BYTES)) break;
      if (isNew) this.kinds.push({ factor: found.factor, form: found.form });
      this.spentBytes += bytes;
      used++;
    }
    const kept: CountedWord =
      used === word.terms.length ? word : { terms: word.terms.slice(0, used), leftOut: 'terms' };
    this.words.push(kept);
    return kept;
  }

  bytes(isRelaxed: boolean): Uint8Array {
    const { index, kinds, words } = this;
    const out = new Writer();
    out.varint(index.size);
    out.byte(index.fieldNames.length);
    for (const field of index.fieldNames.keys()) out.float(averageLength(index, field));
    out.varint(kinds.length);
    for (const { factor, form } of kinds) {
      out.float(factor);
      out.byte(allForms.indexOf(form));
    }
    out.byte(isRelaxed ? 1 : 0);
    out.varint(words.length);
    for (const { terms, leftOut: left } of words) {
      out.varint(4 * terms.length + leftOut.indexOf(left));
      for (const counted of terms) {
        const { low, high } = index.lexicon.terms.keyOfId(counted.term);
        out.word(low);
        out.word(high);
        out.varint(counted.documents);
        if (kinds.length > 1) out.varint(this.kindOf(counted));
      }
    }
    return out.bytes();
  }

  private kindOf({ factor, form }: CountedTerm): number {
    return this.kinds.findIndex((kind) => kind.factor === factor && kind.form === form);
  }
}

/** Statistics of an earlier page. */
export class FrozenStatistics implements Statistics {
  readonly averages: readonly number[];
  private readonly read: Uint8Array;
  private readonly size: number;
  readonly isRelaxed: boolean;
  private readonly words: CountedWord[] = [];
  private at = 0;

  /** Throws `Refusal('invalid_request')` for bytes that {@link PresentStatistics} of such an index do not write. */
  constructor(index: CountedIndex, bytes: Uint8Array) {
    this.read = bytes;
    const from = new Reader(bytes);
    this.size = from.varint();
    const fields = from.byte();
    from.require(fields === index.fieldNames.length);
    this.averages = from.times(fields, () => from.amount());
    const kinds = from.times(from.varint(), () => ({ factor: from.amount(), form: allForms[from.byte()] }));
    const relaxed = from.byte();
    from.require(relaxed <= 1);
    this.isRelaxed = relaxed === 1;
    const words = from.varint();
    for (let word = 0; word < words; word++) {
      const terms: CountedTerm[] = [];
      const head = from.varint();
      const left = leftOut[head % 4];
      for (let i = 0; i < Math.floor(head / 4); i++) {
        const term = index.lexicon.terms.findKey(from.word(), from.word());
        const documents = from.varint();
        const kind = kinds[kinds.length > 1 ? from.varint() : 0];
        from.require(documents <= this.size && kind?.form !== undefined);
        // No document here has it.
        if (term < 0) continue;
        terms.push({ term, documents, factor: kind!.factor, form: kind!.form! });
      }
      this.words.push({ terms, leftOut: left! });
    }
    from.require(from.isAtEnd);
  }

  idf(documents: number): number {
    return inverseDocumentFrequency(this.size, documents);
  }

  next(): CountedWord {
    return this.words[this.at++] ?? { terms: [], leftOut: 'nothing' };
  }

  record(word: CountedWord): CountedWord {
    return word;
  }

  bytes(): Uint8Array {
    return this.read;
  }
}

/** Terms a document has in the field, on average over those that have any; 0 if none has. */
function averageLength({ lengthSums, fieldDocuments }: CountedIndex, field: number): number {
  return fieldDocuments[field] === 0 ? 0 : lengthSums[field]! / fieldDocuments[field]!;
}

function varintBytes(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x20_0000 ? 3 : 4;
}

class Writer {
  private readonly buffer = Buffer.alloc(STATISTICS_LIMIT_BYTES);
  private at = 0;

  byte(value: number): void {
    this.at = this.buffer.writeUInt8(value, this.at);
  }

  word(value: number): void {
    this.at = this.buffer.writeInt32BE(value, this.at);
  }

  float(value: number): void {
    this.at = this.buffer.writeDoubleBE(value, this.at);
  }

  varint(value: number): void {
    let rest = Math.min(value, COUNT_LIMIT - 1);
    for (; rest >= 0x80; rest >>>= 7) this.byte((rest & 0x7f) | 0x80);
    this.byte(rest);
  }

  bytes(): Uint8Array {
    return this.buffer.subarray(0, this.at);
  }
}

class Reader {
  private readonly view: DataView;
  private at = 0;

  constructor(bytes: Uint8Array) {
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get isAtEnd(): boolean {
    return this.at === this.view.byteLength;
  }

  require(holds: boolean): void {
    if (holds) return;
    throw new Refusal('invalid_request', 'cursor is not one this service gave, or not with its present schema', {
      hint: 'take it unchanged from next_cursor, or leave it out',
      errors: [{ path: 'cursor', message: 'is not one this service gave, or not with its present schema' }],
    });
  }

  byte(): number {
    return this.view.getUint8(this.take(1));
  }

  word(): number {
    return this.view.getInt32(this.take(4));
  }

  /** Finite, ≥ 0. */
  amount(): number {
    const value = this.view.getFloat64(this.take(8));
    this.require(Number.isFinite(value) && value >= 0);
    return value;
  }

  varint(): number {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      this.require(shift < 28);
      const byte = this.byte();
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  }

  times<T>(count: number, read: () => T): T[] {
    this.require(count <= this.view.byteLength);
    return Array.from({ length: count }, read);
  }

  private take(bytes: number): number {
    const at = this.at;
    this.require(at + bytes <= this.view.byteLength);
    this.at += bytes;
    return at;
  }
}
