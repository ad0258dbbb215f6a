/** Single words of ASCII letters and digits, which nearly all are: read without the rest of the analysis. */

/** A letter or a digit. */
export const INNER = 1;
/** May stand within a word, between two of its parts. */
const SIGN = 2;
/** Changes the word before it. */
const DECORATION = 3;

/** By ASCII unit; 0: always between words. */
export const kindOf = Uint8Array.from({ length: 128 }, (_, unit) => {
  const character = String.fromCharCode(unit);
  if (/[a-z0-9]/i.test(character)) return INNER;
  if (/[+#_]/.test(character)) return DECORATION;
  return /[-/.'`&:,]/.test(character) ? SIGN : 0;
});

/** Whether a word ends before `at` whatever follows: otherwise it may be part of a longer one. */
export function endOfWord(text: string, at: number, end: number): boolean {
  if (at === end) return true;
  const unit = text.charCodeAt(at);
  if (unit >= 128) return false;
  const kind = kindOf[unit];
  if (kind === 0) return true;
  if (kind === DECORATION) return false;
  if (at + 1 === end) return true;
  const next = text.charCodeAt(at + 1);
  return next < 128 && kindOf[next] !== INNER;
}
