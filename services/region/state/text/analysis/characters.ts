/**
 * What each character is within a text: part of a word, a sign between the parts of one word, a separator.
 *
 * Classes follow Unicode's properties; a character that NFKC replaces by a single one has the class of that one, so that full-width
 * signs are signs.
 */

/** Between words. White space, punctuation, and all that has no other class. */
export const BREAK = 1;
export const LETTER = 2;
export const DIGIT = 3;
/** Belongs to what is before it. */
export const MARK = 4;
/** Has no effect on words: left of an entity, variation selectors, tatweel. */
export const FILLER = 5;
/** Of a script that is written without spaces. */
export const DENSE = 6;
/** Of Korean. */
export const HANGUL = 7;
/** A word by itself, as an emoji. */
export const SYMBOL = 8;
/** One half of a flag. */
export const REGIONAL = 9;
// Signs that may stand within a word.
export const HYPHEN = 10;
export const SLASH = 11;
export const DOT = 12;
export const UNDERSCORE = 13;
export const APOSTROPHE = 14;
export const AMPERSAND = 15;
export const COLON = 16;
export const COMMA = 17;
/** Invisible: where a word may be broken. */
export const SOFT = 18;
/** A space that does not break a line: within a number it separates thousands. */
export const HARD_SPACE = 19;
export const PLUS = 20;
export const HASH = 21;

/** What stands for a removed character, so that the others keep their offsets: no text has a meaning for it. */
export const FILL = '\ufdd0';

const signs: Readonly<Record<string, number>> = {
  '-': HYPHEN,
  '/': SLASH,
  '.': DOT,
  _: UNDERSCORE,
  "'": APOSTROPHE,
  '`': APOSTROPHE,
  '&': AMPERSAND,
  ':': COLON,
  ',': COMMA,
  '+': PLUS,
  '#': HASH,
};

/** The dashes between parts of a word; an em dash or a horizontal bar stands between words. */
const hyphens = /[\u058a\u05be\u2010-\u2013\u2212]/;
const apostrophes = /[\u00b4\u02b9-\u02bf\u02c8\u02ca\u02cb\u05f3\u2018\u2019\u201b\u2032\u2035\ua78b\ua78c\uff07]/;
const slashes = /[\u2044\u2215]/;
const hardSpaces = /[\u00a0\u2009\u202f]/;
const fillers = /[\u034f\u0640\ufdd0]|\p{Variation_Selector}/u;
/** Format characters and other invisible ones; variation selectors are fillers. */
const invisible = /[\p{Cf}\u115f\u1160\u17b4\u17b5\u3164\uffa0]/u;
const dense =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}\u30fc\uff70\uff9e\uff9f]/u;
/** Lines, blocks and signs without a shape: pictures and arrows are words, these are not. */
const noWord = /[\u2500-\u259f\u2028\u2029\ufff9-\uffff]/;

/** By UTF-16 unit; 0: not known yet. Surrogates are read in pairs. */
const known = new Uint8Array(0x1_0000);

/** The class of a code point. */
export function classOf(point: number): number {
  if (point >= 0x1_0000) return determine(String.fromCodePoint(point));
  let found = known[point]!;
  if (found === 0) {
    found = determine(String.fromCharCode(point));
    known[point] = found;
  }
  return found;
}

function determine(character: string): number {
  const sign = signs[character];
  if (sign !== undefined) return sign;
  if (fillers.test(character)) return FILLER;
  if (hyphens.test(character)) return HYPHEN;
  if (apostrophes.test(character)) return APOSTROPHE;
  if (slashes.test(character)) return SLASH;
  if (hardSpaces.test(character)) return HARD_SPACE;
  // What is written at the beginning of a file is no part of a word.
  if (character === '\ufeff') return BREAK;
  if (invisible.test(character)) return SOFT;
  if (dense.test(character) && !/\p{P}/u.test(character)) return DENSE;
  if (/\p{Script=Hangul}/u.test(character)) return HANGUL;
  if (/\p{M}/u.test(character)) return MARK;
  if (/\p{Nd}/u.test(character)) return DIGIT;
  if (/[\p{L}\p{N}]/u.test(character)) return LETTER;
  if (/\p{Regional_Indicator}/u.test(character)) return REGIONAL;
  const plain = character.normalize('NFKC');
  if (plain !== character && plain.length === 1) return determine(plain);
  // Registered and trade marks are not part of the name they stand behind.
  if (character < '\u2190' && character !== '\u2116') return BREAK;
  if (plain !== character && /\p{L}/u.test(plain)) return LETTER;
  return /[\p{So}\p{Extended_Pictographic}]/u.test(character) && !noWord.test(character) ? SYMBOL : BREAK;
}
