/**
 * How often a document has a term in each field, as one small number: a code for each combination that a live posting has.
 *
 * Nearly all postings share a few combinations (once in the title; once in the title and once in the tags), so a posting needs a
 * byte instead of a number a field. Combinations are counted and their codes reused.
 */

import { assert } from '../../../../shared/kernel/kernel.ts';
import { grown } from '../memory/memory.ts';

/** In `fieldOf`: the term is in several fields. */
export const SEVERAL = 255;
const FIRST_CODES = 256;
/** Number of keys that are array indexes: all frequencies below 8 of four fields. */
const SMALL_KEYS = 4_096;
/** Above this, one more field would not fit a number exactly. */
const KEY_LIMIT = 2 ** 50;

/** Frequencies as plain data, for the transfer between threads. */
export interface FrequenciesImage {
  readonly fieldOf: Uint8Array<ArrayBuffer>;
  readonly byField: Uint32Array<ArrayBuffer>;
  readonly uses: Uint32Array<ArrayBuffer>;
  readonly smallCodes: Uint32Array;
  readonly codes: Map<number | string, number>;
  readonly freeCodes: number[];
  readonly codeLimit: number;
}

export class Frequencies {
  private readonly fieldCount: number;
  /** By code: the only field with the term, or {@link SEVERAL}. */
  fieldOf = new Uint8Array(FIRST_CODES);
  /** By code × fields + field. */
  byField: Uint32Array<ArrayBuffer>;
  private uses = new Uint32Array(FIRST_CODES);
  /** By small key: code + 1. */
  private readonly smallCodes = new Uint32Array(SMALL_KEYS);
  private readonly codes = new Map<number | string, number>();
  private readonly freeCodes: number[] = [];
  private codeLimit = 0;

  /** `fieldCount` < 255. */
  constructor(fieldCount: number) {
    this.fieldCount = fieldCount;
    this.byField = new Uint32Array(FIRST_CODES * fieldCount);
  }

  image(): FrequenciesImage {
    const { fieldOf, byField, uses, smallCodes, codes, freeCodes, codeLimit } = this;
    return { fieldOf, byField, uses, smallCodes, codes, freeCodes, codeLimit };
  }

  adopt(image: FrequenciesImage): void {
    Object.assign(this, image);
  }

  /** The code of the frequencies at `start` …, one a field, not all 0. */
  take(frequencies: Uint32Array, start: number): number {
    const key = this.keyOf(frequencies, start);
    const known = typeof key === 'number' && key < SMALL_KEYS ? this.smallCodes[key]! - 1 : (this.codes.get(key) ?? -1);
    const code = known < 0 ? this.add(key, frequencies, start) : known;
    this.uses[code]!++;
    return code;
  }

  release(code: number): void {
    assert(this.uses[code]! > 0, 'a code in use is given back');
    if (--this.uses[code]! > 0) return;
    const key = this.keyOf(this.byField, code * this.fieldCount);
    if (typeof key === 'number' && key < SMALL_KEYS) this.smallCodes[key] = 0;
    else this.codes.delete(key);
    this.freeCodes.push(code);
  }

  frequency(code: number, field: number): number {
    return this.byField[code * this.fieldCount + field]!;
  }

  /** Codes are below this. */
  get limit(): number {
    return this.codeLimit;
  }

  private add(key: number | string, frequencies: Uint32Array, start: number): number {
    const code = this.freeCodes.pop() ?? this.codeLimit++;
    const { fieldCount } = this;
    if (code === this.uses.length) {
      this.uses = grown(this.uses, code + 1);
      this.fieldOf = grown(this.fieldOf, code + 1);
      this.byField = grown(this.byField, this.uses.length * fieldCount);
    }
    let only = -1;
    for (let field = 0; field < fieldCount; field++) {
      const frequency = frequencies[start + field]!;
      this.byField[code * fieldCount + field] = frequency;
      if (frequency > 0) only = only === -1 ? field : SEVERAL;
    }
    assert(only >= 0, 'a posting has a frequency');
    this.fieldOf[code] = only;
    if (typeof key === 'number' && key < SMALL_KEYS) this.smallCodes[key] = code + 1;
    else this.codes.set(key, code);
    return code;
  }

  /** A number if the frequencies are small, because its lookup is faster. */
  private keyOf(frequencies: Uint32Array, start: number): number | string {
    let key = 0;
    for (let field = 0; field < this.fieldCount; field++) {
      const frequency = frequencies[start + field]!;
      if (frequency > 7 || key >= KEY_LIMIT) {
        return frequencies.subarray(start, start + this.fieldCount).join();
      }
      key = key * 8 + frequency;
    }
    return key;
  }
}
