/**
 * Scans the values of an item's metadata in its JSON without creating objects or strings: each value is a slice of the text. For
 * scans of very many items.
 *
 * `JSON.stringify` of metadata in ASCII without escapes is read here; other metadata are read with `JSON.parse`, with the same
 * result.
 */
import type { Metadata } from '../../../shared/protocol/events.ts';

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPENING = 0x5b;
const BACKSLASH = 0x5c;
const CLOSING = 0x5d;
const OBJECT = 0x7b;
const END = 0x7d;
/** Integers of up to this many digits are exact when computed digit by digit. */
const EXACT_DIGITS = 15;

export class MetadataScan {
  /** The text that the values are slices of. */
  text = '';
  /** Whether all of it is ASCII; it may be if this is false. */
  isAscii = false;
  /** Values, each element of a list for itself. */
  count = 0;
  // By value.
  readonly names: string[] = [];
  /** Number of its name: 0, 1, 2 … in order of first use, constant for the lifetime of this scan. */
  readonly nameIds: number[] = [];
  readonly starts: number[] = [];
  readonly ends: number[] = [];
  /** {@link textHash} of the piece. */
  readonly hashes: number[] = [];
  /** NaN if it is not a number. The slice of a number is `String` of it. */
  readonly numbers: number[] = [];
  /** Names of the previous item, with their numbers: the next one is likely to have the same. */
  private readonly expected: string[] = [];
  private readonly expectedIds: number[] = [];
  private readonly ids = new Map<string, number>();
  private nameId = 0;

  /** `text.slice(start, end)` is the JSON; if it is not plain ASCII, `decode` decodes it. */
  read(text: string, start: number, end: number, decode: () => string): void {
    this.text = text;
    this.count = 0;
    this.isAscii = this.scan(start, end);
    if (!this.isAscii) this.take(JSON.parse(decode()) as Metadata);
  }

  take(metadata: Metadata): void {
    this.text = '';
    this.isAscii = false;
    this.count = 0;
    const add = (name: string, piece: string, number: number): void => {
      const start = this.text.length;
      this.text += piece;
      this.push(name, start, this.text.length, textHash(piece), number);
    };
    for (const name of Object.keys(metadata)) {
      const value = metadata[name]!;
      this.nameId = this.idOf(name);
      if (typeof value === 'object') for (const text of value) add(name, text, Number.NaN);
      else add(name, String(value), typeof value === 'number' ? value : Number.NaN);
    }
  }

  private push(name: string, start: number, end: number, hash: number, number: number): void {
    const at = this.count++;
    this.names[at] = name;
    this.nameIds[at] = this.nameId;
    this.starts[at] = start;
    this.ends[at] = end;
    this.hashes[at] = hash;
    this.numbers[at] = number;
  }

  /** False: it is not plain. */
  private scan(start: number, end: number): boolean {
    const { text } = this;
    let at = start;
    if (text.charCodeAt(at++) !== OBJECT) return false;
    if (text.charCodeAt(at) === END) return at + 1 === end;
    for (let field = 0; ; field++) {
      const name = this.name(at, field);
      if (name === undefined) return false;
      at += name.length + 3;
      const unit = text.charCodeAt(at);
      if (unit === QUOTE) at = this.string(name, at);
      else if (unit === OPENING) at = this.list(name, at);
      else at = this.literal(name, at);
      if (at < 0) return false;
      const next = text.charCodeAt(at++);
      if (next === END) return at === end;
      if (next !== COMMA) return false;
    }
  }

  /** Reads the field name whose quote is at `at`, up to the colon. */
  private name(at: number, field: number): string | undefined {
    const { text } = this;
    if (text.charCodeAt(at) !== QUOTE) return undefined;
    const expected = this.expected[field];
    if (expected !== undefined && isAt(expected, text, at + 1)) {
      const end = at + 1 + expected.length;
      if (text.charCodeAt(end) === QUOTE && text.charCodeAt(end + 1) === COLON) {
        this.nameId = this.expectedIds[field]!;
        return expected;
      }
    }
    let end = at + 1;
    for (let unit = text.charCodeAt(end); unit !== QUOTE; unit = text.charCodeAt(++end)) {
      if (!(unit < 128) || unit === BACKSLASH) return undefined;
    }
    if (text.charCodeAt(end + 1) !== COLON) return undefined;
    const name = text.slice(at + 1, end);
    this.nameId = this.idOf(name);
    this.expected[field] = name;
    this.expectedIds[field] = this.nameId;
    return name;
  }

  private idOf(name: string): number {
    const known = this.ids.get(name) ?? this.ids.size;
    this.ids.set(name, known);
    return known;
  }

  /** Reads the string whose quote is at `at`; returns the offset after the closing one, −1 if it is not plain. */
  private string(name: string, at: number): number {
    const { text } = this;
    let bits = NO_UNITS;
    let end = at + 1;
    for (let unit = text.charCodeAt(end); unit !== QUOTE; unit = text.charCodeAt(++end)) {
      if (!(unit < 128) || unit === BACKSLASH) return -1;
      bits = withUnit(bits, unit);
    }
    this.push(name, at + 1, end, mixed(bits), Number.NaN);
    return end + 1;
  }

  private list(name: string, start: number): number {
    const { text } = this;
    let at = start + 1;
    if (text.charCodeAt(at) === CLOSING) return at + 1;
    for (;;) {
      if (text.charCodeAt(at) !== QUOTE) return -1;
      at = this.string(name, at);
      if (at < 0) return -1;
      const next = text.charCodeAt(at++);
      if (next === CLOSING) return at;
      if (next !== COMMA) return -1;
    }
  }

  /** `true`, `false` or a number. */
  private literal(name: string, at: number): number {
    const { text } = this;
    let bits = NO_UNITS;
    let end = at;
    let integer = 0;
    let isDigits = true;
    for (let unit = text.charCodeAt(end); unit !== COMMA && unit !== END; unit = text.charCodeAt(++end)) {
      if (!(unit < 128)) return -1;
      bits = withUnit(bits, unit);
      isDigits &&= unit >= 48 && unit <= 57;
      integer = integer * 10 + unit - 48;
    }
    let number = integer;
    if (!isDigits || end - at > EXACT_DIGITS || end === at) {
      const piece = text.slice(at, end);
      number = piece === 'true' || piece === 'false' ? Number.NaN : Number(piece);
      if (Number.isNaN(number) ? piece !== 'true' && piece !== 'false' : String(number) !== piece) return -1;
    }
    this.push(name, at, end, mixed(bits), number);
    return end;
  }
}

/** Whether the text has `piece` at that offset. */
export function isAt(piece: string, text: string, at: number): boolean {
  for (let index = 0; index < piece.length; index++) {
    if (text.charCodeAt(at + index) !== piece.charCodeAt(index)) return false;
  }
  return true;
}

/**
 * 32-bit hash of a text: FNV-1a over its UTF-16 units, with the finalizer of MurmurHash3. The same in every process and version.
 */
/** Hash state before the first unit. */
export const NO_UNITS = 0x811c9dc5 | 0;

/** Hash state after one more unit. */
export function withUnit(bits: number, unit: number): number {
  return Math.imul(bits ^ unit, 0x01000193);
}

/** The hash, from the state after all units. */
export function mixed(units: number): number {
  let bits = Math.imul(units ^ (units >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return bits ^ (bits >>> 16);
}

export function textHash(text: string): number {
  let bits = NO_UNITS;
  for (let at = 0; at < text.length; at++) bits = withUnit(bits, text.charCodeAt(at));
  return mixed(bits);
}
