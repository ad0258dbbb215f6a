/**
 * What fixes the scores of a query besides the documents themselves: the terms that its words stand for, the number of documents,
 * the documents of each term, and the average lengths. The first page of a search takes them from the index, and its cursor
 * carries them on: so a document that is not changed has the same score, to the bit, on every page and in every region, whatever
 * is written in between.
 *
 * As bytes, big-endian, integers as varints (seven bits a byte, the lowest first):
 *
 *     documents · fields 1 · fields × (average length, float64; 0: no document has the field) ·
 *     factors · factors × float64 · words · words × (terms · terms × (key 8, documents, [index of the factor]))
 *
 * The index of a factor is left out if there is only one. A key is that of `lexicon/string-table.ts`, which is the term itself if
 * it is short and a hash of 63 bits otherwise.
 */
import { Refusal } from '../../../../../shared/errors/errors.ts';

/** A term of a word of the query. */
export interface ExpandedTerm {
  readonly term: number;
  /** Factor of its weight. */
  readonly factor: number;
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
  idf(term: number): number;
  /** The terms of the next word, if they are known already; otherwise they are found in the index and {@link record}ed. */
  next(): readonly ExpandedTerm[] | undefined;
  /** Those of the found terms that are used: all, if the query has not too many. */
  record(found: readonly ExpandedTerm[]): readonly ExpandedTerm[];
  /** At most {@link STATISTICS_LIMIT_BYTES}. To be read before the index changes. */
  bytes(): Uint8Array;
}

export const STATISTICS_LIMIT_BYTES = 5_600;
/** How many bytes the terms of a query may take: the later ones of a word are left out, never its first. */
const TERMS_LIMIT_BYTES = 4_700;
const FIRST_TERMS_LIMIT_BYTES = 5_400;
const KEY_BYTES = 8;
const FACTOR_BYTES = 8;
/** A count that takes no more than four bytes as a varint. */
const COUNT_LIMIT = 2 ** 28;

export function inverseDocumentFrequency(size: number, documents: number): number {
  return Math.log(1 + (size - documents + 0.5) / (documents + 0.5));
}

/** Statistics as the index has them. */
export class PresentStatistics implements Statistics {
  readonly averages = undefined;
  private readonly index: CountedIndex;
  private readonly words: (readonly ExpandedTerm[])[] = [];
  private readonly factors: number[] = [];
  private spentBytes = 0;

  constructor(index: CountedIndex) {
    this.index = index;
  }

  idf(term: number): number {
    return inverseDocumentFrequency(this.index.size, this.index.postings.documents(term));
  }

  next(): undefined {
    return undefined;
  }

  record(found: readonly ExpandedTerm[]): readonly ExpandedTerm[] {
    let used = 0;
    for (const { term, factor } of found) {
      const isNew = !this.factors.includes(factor);
      const bytes = KEY_BYTES + varintBytes(this.index.postings.documents(term)) + 2 + (isNew ? FACTOR_BYTES : 0);
      if (this.spentBytes + bytes > (used === 0 ? FIRST_TERMS_LIMIT_BYTES : TERMS_LIMIT_BYTES)) break;
      if (isNew) this.factors.push(factor);
      this.spentBytes += bytes;
      used++;
    }
    const terms = used === found.length ? found : found.slice(0, used);
    this.words.push(terms);
    return terms;
  }

  bytes(): Uint8Array {
    const { index, factors, words } = this;
    const out = new Writer();
    out.varint(index.size);
    out.byte(index.fieldNames.length);
    for (const field of index.fieldNames.keys()) out.float(averageLength(index, field));
    out.varint(factors.length);
    for (const factor of factors) out.float(factor);
    out.varint(words.length);
    for (const terms of words) {
      out.varint(terms.length);
      for (const { term, factor } of terms) {
        const { low, high } = index.lexicon.terms.keyOfId(term);
        out.word(low);
        out.word(high);
        out.varint(index.postings.documents(term));
        if (factors.length > 1) out.varint(factors.indexOf(factor));
      }
    }
    return out.bytes();
  }
}

/** Statistics of an earlier page. */
export class FrozenStatistics implements Statistics {
  readonly averages: readonly number[];
  private readonly read: Uint8Array;
  private readonly size: number;
  private readonly documents = new Map<number, number>();
  private readonly words: (readonly ExpandedTerm[])[] = [];
  private at = 0;

  /** Throws `Refusal('invalid_request')` for bytes that {@link PresentStatistics} of such an index do not write. */
  constructor(index: CountedIndex, bytes: Uint8Array) {
    this.read = bytes;
    const from = new Reader(bytes);
    this.size = from.varint();
    const fields = from.byte();
    from.require(fields === index.fieldNames.length);
    this.averages = from.times(fields, () => from.amount());
    const factors = from.times(from.varint(), () => from.amount());
    const words = from.varint();
    for (let word = 0; word < words; word++) {
      const terms: ExpandedTerm[] = [];
      const count = from.varint();
      for (let i = 0; i < count; i++) {
        const term = index.lexicon.terms.findKey(from.word(), from.word());
        const documents = from.varint();
        const factor = factors[factors.length > 1 ? from.varint() : 0];
        from.require(documents <= this.size && factor !== undefined);
        // No document here has it.
        if (term < 0) continue;
        this.documents.set(term, documents);
        terms.push({ term, factor: factor! });
      }
      this.words.push(terms);
    }
    from.require(from.isAtEnd);
  }

  idf(term: number): number {
    return inverseDocumentFrequency(this.size, this.documents.get(term) ?? 0);
  }

  next(): readonly ExpandedTerm[] {
    return this.words[this.at++] ?? [];
  }

  record(found: readonly ExpandedTerm[]): readonly ExpandedTerm[] {
    return found;
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
