/**
 * The terms of the index that a clause matches: one, or for wildcards and fuzzy words those of the first words alphabetically.
 */
import type { Steps } from '../../../../shared/kernel/steps.ts';
import type { Lexicon } from './lexicon/lexicon.ts';
import type { Match } from './parse-text-query.ts';
import { COMPARISON_STEPS, type QueryCost, WORD_STEPS } from './query-cost.ts';

/** Maximum number of terms of one wildcard or fuzzy word: the first alphabetically, the same in every region. */
export const EXPANSION_LIMIT_TERMS = 64;
const STAR = 42;

/** Each once, in the alphabetical order of the matching words; a fuzzy word's own term first. */
export function* matchTerms(match: Match, lexicon: Lexicon, cost: QueryCost): Steps<readonly number[]> {
  const own = match.kind === 'wildcard' ? [] : match.terms.map((term) => lexicon.terms.find(term));
  const terms = new Set(own.filter((term) => term >= 0));
  const onPass = (words: number): void => cost.spend(words * WORD_STEPS);
  const visitor = (letterSteps: number, accept: (text: string) => boolean) => (word: number) => {
    const text = lexicon.wordText(word);
    cost.spend(COMPARISON_STEPS + text.length * letterSteps);
    if (accept(text)) terms.add(lexicon.termOf(word));
    return terms.size < EXPANSION_LIMIT_TERMS;
  };
  if (match.kind === 'wildcard') {
    const { pattern } = match;
    const prefix = pattern.slice(0, pattern.indexOf('*'));
    const fixed = pattern.replaceAll('*', '');
    const likeness = {
      letters: lexicon.lettersOf(fixed),
      missingLimit: 0,
      extraLimit: 32,
      shortest: fixed.length,
      longest: Infinity,
    };
    // If a part between two stars almost matches repeatedly, each letter may be compared with all of it.
    const longest = Math.max(...pattern.split('*').map((piece) => piece.length));
    const accept = (text: string): boolean => matchesWildcard(text, pattern);
    yield* lexicon.like(prefix, likeness, onPass, visitor(1 + Math.ceil(longest / 4), accept));
  }
  if (match.kind === 'fuzzy') {
    const { word, distance } = match;
    // One edit adds at most one letter and removes at most one.
    const likeness = {
      letters: lexicon.lettersOf(word),
      missingLimit: distance,
      extraLimit: distance,
      shortest: word.length - distance,
      longest: word.length + distance,
    };
    yield* lexicon.like('', likeness, onPass, visitor(2 * distance + 1, withinDistance(word, distance)));
  }
  return [...terms];
}

/** Greedy, backtracking to the last `*` only: at most term × pattern steps, where a regular expression may need far more. */
export function matchesWildcard(term: string, pattern: string): boolean {
  let t = 0;
  let p = 0;
  let star = -1;
  let starTerm = 0;
  while (t < term.length) {
    const unit = pattern.charCodeAt(p);
    if (unit === STAR) {
      star = p++;
      starTerm = t;
    } else if (unit === term.charCodeAt(t)) {
      p++;
      t++;
    } else if (star >= 0) {
      p = star + 1;
      t = ++starTerm;
    } else {
      return false;
    }
  }
  while (pattern.charCodeAt(p) === STAR) p++;
  return p === pattern.length;
}

/**
 * Whether a term's optimal string alignment distance (Levenshtein with swaps of neighbours, no letter edited twice) to the
 * word is at most `limit`. UTF-16 code units.
 *
 * Only the band of the dynamic programme's table is filled in which distances can be that small (Ukkonen: Algorithms for
 * Approximate String Matching, 1985). The table is kept between terms: for a term with the same beginning as the previous one
 * only the rest is computed, and nothing if that beginning is too different already.
 */
export function withinDistance(word: string, limit: number): (term: string) => boolean {
  const far = limit + 1;
  const width = word.length + 1;
  const units = Uint16Array.from(word, (_, i) => word.charCodeAt(i));
  const rowLimit = word.length + limit;
  // Row i at i · width: the distances of the first i letters of the term to every beginning of the word. Entries outside the band
  // stay `far`.
  const table = new Uint16Array((rowLimit + 1) * width).fill(far);
  for (let j = 0; j <= Math.min(limit, word.length); j++) table[j] = j;
  const best = new Uint16Array(rowLimit + 1);
  // The previous term: its first `filled` letters have valid rows.
  const previous = new Uint16Array(rowLimit + 1);
  let filled = 0;
  const fillRow = (i: number): void => {
    const row = i * width;
    const above = row - width;
    const unit = previous[i - 1]!;
    const last = Math.min(word.length, i + limit);
    let least = far;
    for (let j = Math.max(0, i - limit); j <= last; j++) {
      let distance = table[above + j]! + 1;
      if (j > 0) {
        distance = Math.min(distance, table[row + j - 1]! + 1);
        distance = Math.min(distance, table[above + j - 1]! + (unit === units[j - 1] ? 0 : 1));
        if (i > 1 && j > 1 && unit === units[j - 2] && previous[i - 2] === units[j - 1]) {
          distance = Math.min(distance, table[above - width + j - 2]! + 1);
        }
      }
      table[row + j] = Math.min(distance, far);
      if (distance < least) least = distance;
    }
    best[i] = least;
  };
  return (term) => {
    const length = term.length;
    if (Math.abs(length - word.length) > limit) return false;
    let i = 0;
    while (i < filled && i < length && term.charCodeAt(i) === previous[i]) i++;
    filled = i;
    // A swap reaches back two rows at the cost of one edit: after two rows beyond the limit no result is within it.
    while (!(i > 0 && best[i]! > limit && best[i - 1]! > limit)) {
      if (i === length) return table[i * width + word.length]! <= limit;
      previous[i] = term.charCodeAt(i);
      i++;
      fillRow(i);
      filled = i;
    }
    return false;
  };
}
