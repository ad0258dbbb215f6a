/**
 * Folding: words that differ in case, in how a character is encoded, or in diacritics are the same word.
 *
 * Case first, completely (ß is ss, a final ς is σ), then Unicode's form NFKC, then diacritics. A mark that makes another letter
 * in its script stays: Japanese voicing, vowel signs of Indic scripts, tones of Thai, the й of Cyrillic.
 */

const plain = /^[a-z0-9]*$/;
const beyondAscii = /[^\0-\x7f]/;
const mark = /\p{M}/u;
/** Accents of Latin and Greek, points of Hebrew, vowels and hamza of Arabic. */
const removable = new RegExp(
  [
    ...[
      '\\u0300-\\u036f',
      '\\u0483-\\u0487',
      '\\u0591-\\u05bd',
      '\\u05bf',
      '\\u05c1-\\u05c2',
      '\\u05c4-\\u05c5',
      '\\u05c7',
    ],
    ...[
      '\\u064b-\\u065f',
      '\\u0670',
      '\\u06d6-\\u06dc',
      '\\u06df-\\u06e8',
      '\\u06ea-\\u06ed',
      '\\u1ab0-\\u1aff',
      '\\u1dc0-\\u1dff',
    ],
    ...['\\u20d0-\\u20ff', '\\ufe20-\\ufe2f'],
  ]
    .map((range) => `[${range}]`)
    .join('|'),
);
/** Letters that NFKC leaves, as they are written without them. */
const letters: Readonly<Record<string, string>> = {
  ...{ æ: 'ae', œ: 'oe', ø: 'o', ł: 'l', đ: 'd', ð: 'd', þ: 'th', ħ: 'h', ŧ: 't', ı: 'i', ŋ: 'n', ĸ: 'k', ƒ: 'f' },
};
const replaceable = new RegExp(`[${Object.keys(letters).join('')}]`, 'g');

/** Full case folding: by upper case, which ß and ss, ſ and s have in common; ẞ has another than ß. */
export function foldCase(text: string): string {
  if (!beyondAscii.test(text)) return text.toLowerCase();
  return text.toLowerCase().toUpperCase().toLowerCase().replaceAll('ς', 'σ');
}

/** The text as words are compared. Folding it once more changes nothing. */
export function fold(text: string): string {
  if (plain.test(text)) return text;
  if (!beyondAscii.test(text)) return text.toLowerCase();
  // Compatible characters, such as ℋ, may have another case than themselves.
  const apart = foldCase(foldCase(text).normalize('NFKD')).normalize('NFKD');
  return withoutDiacritics(apart)
    .replace(replaceable, (letter) => letters[letter]!)
    .normalize('NFC');
}

function withoutDiacritics(apart: string): string {
  if (!mark.test(apart)) return apart;
  let kept = '';
  let base = '';
  for (const character of apart) {
    if (!mark.test(character)) base = character;
    else if (isRemoved(character, base)) continue;
    kept += character;
  }
  return kept;
}

function isRemoved(accent: string, base: string): boolean {
  if (!removable.test(accent)) return false;
  if (base < '\u0400' || base > '\u052f') return true;
  // Cyrillic: stress marks, and the dots of ё; й, ї, ў, ѓ and ќ are letters.
  if (accent === '\u0301') return base !== 'г' && base !== 'к';
  if (accent === '\u0308') return base === 'е';
  return accent !== '\u0306';
}
