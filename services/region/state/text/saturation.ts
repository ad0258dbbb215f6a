/**
 * The part of BM25F that depends on a document and a term's frequencies in it, but not on the term: tf · (k1 + 1) / (k1 + tf), as
 * `text-index.ts` has it.
 *
 * With one field it depends on two small numbers, the frequency's code and the field's length: a table caches it until a document
 * is added or removed, which changes the average lengths. A value is computed in the same way everywhere, so a cached one is the
 * same to the bit.
 */
import type { Schema } from '../../schema/schema.ts';
import { SEVERAL } from './frequencies.ts';
import { type InvertedIndex, LONG } from './inverted-index.ts';

const LENGTHS = 256;
/** Length of a text of stop words alone, which do not count: a search for them alone finds it first. */
const SHORTEST = 0.25;
/** Capacity of the table, in codes. */
export const TABLE_CODES = 256;

export interface SaturationOptions {
  readonly index: InvertedIndex;
  readonly boosts: readonly number[];
  readonly bm25: Schema['bm25'];
  /** Average lengths by field, 0 if unknown; undefined: those of the index. */
  readonly averages?: readonly number[] | undefined;
}

export class Saturation {
  /** By code × 256 + the field's length; 0: not computed yet, see {@link of}. */
  readonly table = new Float64Array(TABLE_CODES * LENGTHS);
  /** By code: the field whose length is the index in the table. */
  readonly fieldInTable = new Uint8Array(TABLE_CODES);

  private readonly index: InvertedIndex;
  private readonly boosts: readonly number[];
  private readonly k1: number;
  private readonly b: number;
  private readonly averages: readonly number[] | undefined;
  private readonly rowsInUse = new Uint8Array(TABLE_CODES);
  /** By field × 256 + length: boost / (1 − b + b · length / average). */
  private readonly factors: Float64Array;
  private version = -1;

  constructor({ index, boosts, bm25, averages }: SaturationOptions) {
    this.averages = averages;
    this.index = index;
    this.boosts = boosts;
    this.k1 = bm25.k1;
    this.b = bm25.b;
    this.factors = new Float64Array(boosts.length * LENGTHS);
  }

  /** No value is larger. */
  get limit(): number {
    return this.k1 + 1;
  }

  /** Must be called before values for a new state of the index are read. */
  refresh(): void {
    const { index } = this;
    if (this.version === index.version) return;
    this.version = index.version;
    for (let code = 0; code < TABLE_CODES; code++) {
      if (this.rowsInUse[code] === 1) this.table.fill(0, code * LENGTHS, (code + 1) * LENGTHS);
      this.rowsInUse[code] = 0;
      const field = index.frequencies.fieldOf[code]!;
      this.fieldInTable[code] = field === SEVERAL ? 0 : field;
    }
    for (let field = 0; field < this.boosts.length; field++) {
      for (let length = 0; length < LONG; length++) {
        this.factors[field * LENGTHS + length] = this.factor(field, length);
      }
    }
  }

  at(code: number, document: number): number {
    if (code >= TABLE_CODES) return this.of(code, document);
    const { lengths, fieldNames } = this.index;
    const length = lengths[document * fieldNames.length + this.fieldInTable[code]!]!;
    return this.table[code * LENGTHS + length]! || this.of(code, document);
  }

  of(code: number, document: number): number {
    const { frequencies, lengths, fieldNames } = this.index;
    const field = frequencies.fieldOf[code]!;
    if (field === SEVERAL) return this.ofSeveral(code, document);
    const length = lengths[document * fieldNames.length + field]!;
    const value = this.saturate(frequencies.frequency(code, field) * this.factorOf(document, field));
    if (length < LONG && code < TABLE_CODES) {
      this.table[code * LENGTHS + length] = value;
      this.rowsInUse[code] = 1;
    }
    return value;
  }

  /** The value over these fields alone, ascending; −1 if the term is in none of them. */
  ofFields(code: number, document: number, fields: readonly number[]): number {
    const { frequencies } = this.index;
    let tf = 0;
    let isThere = false;
    for (let i = 0; i < fields.length; i++) {
      const field = fields[i]!;
      const frequency = frequencies.frequency(code, field);
      if (frequency === 0) continue;
      isThere = true;
      tf += frequency * this.factorOf(document, field);
    }
    return isThere ? this.saturate(tf) : -1;
  }

  private ofSeveral(code: number, document: number): number {
    const { frequencies, lengths } = this.index;
    const { byField } = frequencies;
    const { factors } = this;
    const count = this.boosts.length;
    const atCode = code * count;
    const atDocument = document * count;
    let tf = 0;
    for (let field = 0; field < count; field++) {
      const frequency = byField[atCode + field]!;
      if (frequency === 0) continue;
      const length = lengths[atDocument + field]!;
      tf += frequency * (length < LONG ? factors[field * LENGTHS + length]! : this.factorOf(document, field));
    }
    return this.saturate(tf);
  }

  private saturate(tf: number): number {
    return (tf * (this.k1 + 1)) / (this.k1 + tf);
  }

  private factorOf(document: number, field: number): number {
    const length = this.index.lengths[document * this.boosts.length + field]!;
    if (length < LONG) return this.factors[field * LENGTHS + length]!;
    return this.factor(field, this.index.lengthOf(document, field));
  }

  private factor(field: number, length: number): number {
    const average = this.averages?.[field] ?? this.index.lengthSums[field]! / this.index.fieldDocuments[field]!;
    // Of a field that no document had: those that have it now are of average length.
    if (!(average > 0)) return this.boosts[field]!;
    return this.boosts[field]! / (1 - this.b + (this.b * Math.max(length, SHORTEST)) / average);
  }
}
