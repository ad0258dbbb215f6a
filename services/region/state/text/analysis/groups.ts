/**
 * Finds the groups of a text: what stands between separators. Of letters and digits a group has up to {@link PARTS_LIMIT} parts,
 * between which are signs: `spider-man`, `AC/DC`, `1,299.00`. `readings.ts` makes words of a group.
 *
 * A group depends on nothing before it, and has a bounded number of parts: a text can be read in slices.
 */
import {
  AMPERSAND,
  APOSTROPHE,
  COLON,
  COMMA,
  classOf,
  DENSE,
  DIGIT,
  DOT,
  FILLER,
  HANGUL,
  HARD_SPACE,
  HASH,
  HYPHEN,
  LETTER,
  MARK,
  PLUS,
  REGIONAL,
  SLASH,
  SOFT,
  SYMBOL,
  UNDERSCORE,
} from './characters.ts';

/** A longer chain of parts is several groups. */
export const PARTS_LIMIT = 8;
/** Text without spaces is segmented so many characters at a time. */
const DENSE_LIMIT = 512;
const HANGUL_LIMIT = 64;
/** A longer chain of joined emoji is several. */
const SYMBOL_LIMIT = 64;
/** Between parts that follow each other without a sign, as in `C++11`. */
export const ADJACENT = 0;

const ZERO_WIDTH_JOINER = 0x200d;
const thousands = /[0-9]{3}(?![\p{L}\p{N}])/uy;

export function isSkinTone(point: number): boolean {
  return point >= 0x1_f3fb && point <= 0x1_f3ff;
}

function isTag(point: number): boolean {
  return point >= 0xe_0020 && point <= 0xe_007f;
}

function widthOf(point: number): number {
  return point >= 0x1_0000 ? 2 : 1;
}

export class Groups {
  /** Of the group found last: `LETTER`, `DENSE`, `HANGUL` or `SYMBOL`, and its bounds. */
  kind = 0;
  start = 0;
  end = 0;
  /** Of a group of letters: the parts, and the class of the sign before each. */
  count = 0;
  readonly starts = new Uint32Array(PARTS_LIMIT);
  readonly ends = new Uint32Array(PARTS_LIMIT);
  readonly links = new Uint8Array(PARTS_LIMIT);

  private firstClass = 0;
  private lastClass = 0;

  /** Finds the first group that begins at `from` or later and before `limit`; false if there is none. */
  next(text: string, from: number, limit: number): boolean {
    for (let at = from; at < limit; ) {
      const point = text.codePointAt(at)!;
      const found = classOf(point);
      this.start = at;
      switch (found) {
        case LETTER:
        case DIGIT:
          this.kind = LETTER;
          this.readLetters(text, at, limit);
          return true;
        case DENSE:
        case HANGUL:
          this.kind = found;
          this.end = this.runEnd(text, at, Math.min(limit, at + (found === DENSE ? DENSE_LIMIT : HANGUL_LIMIT)));
          return true;
        case SYMBOL:
        case REGIONAL:
          this.kind = SYMBOL;
          this.end = this.symbolEnd(text, at, limit);
          return true;
        default:
          at += widthOf(point);
      }
    }
    return false;
  }

  private readLetters(text: string, from: number, limit: number): void {
    let at = from;
    let link = ADJACENT;
    for (this.count = 0; ; ) {
      const { count } = this;
      const end = this.partEnd(text, at, limit);
      const decorated = this.decoratedEnd(text, at, end, limit);
      this.starts[count] = at;
      this.ends[count] = decorated;
      this.links[count] = link;
      this.count++;
      this.end = decorated;
      if (this.count === PARTS_LIMIT || decorated >= limit) return;
      at = decorated;
      link = classOf(text.codePointAt(at)!);
      if (decorated > end) {
        if (link !== DIGIT) return;
        link = ADJACENT;
        continue;
      }
      at = this.linked(text, at, limit);
      if (at < 0) return;
    }
  }

  private partEnd(text: string, from: number, limit: number): number {
    this.firstClass = 0;
    let at = from;
    while (at < limit) {
      const point = text.codePointAt(at)!;
      const found = classOf(point);
      if (found === LETTER || found === DIGIT) {
        this.lastClass = found;
        if (this.firstClass === 0) this.firstClass = found;
      } else if (found !== MARK && found !== FILLER) break;
      at += widthOf(point);
    }
    return at;
  }

  /** With the signs of `c++` and `c#`. A plus behind a longer word, as in `Disney+`, is none of its letters. */
  private decoratedEnd(text: string, start: number, end: number, limit: number): number {
    if (end >= limit || this.lastClass !== LETTER) return end;
    const first = classOf(text.codePointAt(end)!);
    if (first !== PLUS && first !== HASH) return end;
    const next = end + 1 < limit ? classOf(text.codePointAt(end + 1)!) : 0;
    if (first === HASH) return end - start <= 2 && next !== LETTER && next !== HASH ? end + 1 : end;
    if (next !== PLUS) return end - start === 1 && next !== LETTER && next !== DIGIT ? end + 1 : end;
    return end + 2 < limit && classOf(text.codePointAt(end + 2)!) === LETTER ? end : end + 2;
  }

  /** Where the part begins that the sign at `at` joins to the one before it; −1 if it joins none. */
  private linked(text: string, at: number, limit: number): number {
    const sign = classOf(text.codePointAt(at)!);
    if (sign < HYPHEN || sign > HARD_SPACE) return -1;
    let next = at + 1;
    for (; next < limit; next++) {
      const found = classOf(text.charCodeAt(next));
      if (found !== FILLER && found !== SOFT && !(found === UNDERSCORE && sign === UNDERSCORE)) break;
    }
    if (next >= limit) return -1;
    const following = classOf(text.codePointAt(next)!);
    if (following !== LETTER && following !== DIGIT) return -1;
    switch (sign) {
      case HYPHEN:
      case SLASH:
      case DOT:
      case UNDERSCORE:
      case APOSTROPHE:
      case AMPERSAND:
      case SOFT:
        return next;
      case COLON:
      case COMMA:
        return this.lastClass === DIGIT && following === DIGIT ? next : -1;
      default: {
        thousands.lastIndex = next;
        const before = text.slice(this.starts[this.count - 1]!, at);
        return sign === HARD_SPACE && /^[0-9]{1,3}$/.test(before) && thousands.test(text) ? next : -1;
      }
    }
  }

  /** Up to `limit`, but not between a character and its mark. */
  private runEnd(text: string, from: number, limit: number): number {
    let at = from;
    while (at < limit) {
      const point = text.codePointAt(at)!;
      const found = classOf(point);
      if (found !== this.kind && found !== MARK && found !== FILLER) break;
      at += widthOf(point);
    }
    return at;
  }

  /** An emoji with its variations, a family of them, a flag. */
  private symbolEnd(text: string, from: number, limit: number): number {
    const first = text.codePointAt(from)!;
    let at = from + widthOf(first);
    if (classOf(first) === REGIONAL && at < limit && classOf(text.codePointAt(at)!) === REGIONAL) return at + 2;
    while (at < limit && at - from < SYMBOL_LIMIT) {
      const point = text.codePointAt(at)!;
      if (point === ZERO_WIDTH_JOINER) {
        const next = text.codePointAt(at + 1);
        if (at + 1 >= limit || next === undefined || classOf(next) !== SYMBOL) break;
        at += 1 + widthOf(next);
      } else if (isSkinTone(point) || isTag(point) || classOf(point) === FILLER) {
        at += widthOf(point);
      } else break;
    }
    return at;
  }
}
