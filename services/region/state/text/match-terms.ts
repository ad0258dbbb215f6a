/** Which terms of the vocabulary a clause means: one, or for wildcards and fuzzy words the first few alphabetically. */
import type { Match } from './parse-text-query.ts';
import type { Vocabulary } from './vocabulary.ts';

/** How many terms one wildcard or fuzzy word stands for at most: the first alphabetically, the same in every region. */
export const EXPANSION_LIMIT_TERMS = 64;

/** Ascending. */
export function matchTerms(match: Match, vocabulary: Vocabulary): readonly string[] {
  switch (match.kind) {
    case 'term':
      return [match.term];
    case 'wildcard': {
      const prefix = match.pattern.slice(0, match.pattern.indexOf('*'));
      return firstOf(vocabulary.startingWith(prefix), (term) => matchesWildcard(term, match.pattern));
    }
    case 'fuzzy':
      return firstOf(vocabulary.startingWith(''), withinDistance(match.term, match.distance));
  }
}

function firstOf(terms: Iterable<string>, accept: (term: string) => boolean): string[] {
  const found: string[] = [];
  for (const term of terms) {
    if (!accept(term)) continue;
    found.push(term);
    if (found.length === EXPANSION_LIMIT_TERMS) break;
  }
  return found;
}

/** Greedy, going back to the last `*` only: at most term × pattern steps, where a regular expression may need far more. */
export function matchesWildcard(term: string, pattern: string): boolean {
  let t = 0;
  let p = 0;
  let star = -1;
  let starTerm = 0;
  while (t < term.length) {
    if (pattern[p] === '*') {
      star = p++;
      starTerm = t;
    } else if (pattern[p] === term[t]) {
      p++;
      t++;
    } else if (star >= 0) {
      p = star + 1;
      t = ++starTerm;
    } else {
      return false;
    }
  }
  while (pattern[p] === '*') p++;
  return p === pattern.length;
}

/**
 * Whether a term's optimal string alignment distance (Levenshtein with swaps of neighbours, no letter edited twice) to the
 * word is at most `limit`. UTF-16 code units.
 *
 * The table of the dynamic programme is kept from term to term: of one that begins like the term before it only the rest
 * is computed, and nothing at all where that beginning is too far off already. Over a sorted vocabulary this is most of it.
 */
export function withinDistance(word: string, limit: number): (term: string) => boolean {
  const width = word.length + 1;
  // Row i: the distances of the first i letters of `previous` to every beginning of the word. Rows 0 … `filled` are valid.
  const rows: Uint16Array[] = [Uint16Array.from({ length: width }, (_, j) => j)];
  const best: number[] = [0];
  let previous = '';
  let filled = 0;
  return (term) => {
    if (Math.abs(term.length - word.length) > limit) return false;
    let i = 0;
    while (i < filled && term[i] === previous[i]) i++;
    previous = term;
    filled = i;
    // A swap reaches back two rows at the cost of one edit: two rows beyond the limit cannot be mended.
    while (!(i > 0 && best[i]! > limit && best[i - 1]! > limit)) {
      if (i === term.length) return rows[i]![word.length]! <= limit;
      i++;
      best[i] = fillRow(rows, i, term, word);
      filled = i;
    }
    return false;
  };
}

/** Computes row `i` from the two before it; answers its least distance. */
function fillRow(rows: Uint16Array[], i: number, term: string, word: string): number {
  const row = rows[i] ?? new Uint16Array(word.length + 1);
  rows[i] = row;
  const last = rows[i - 1]!;
  row[0] = i;
  let best = i;
  for (let j = 1; j <= word.length; j++) {
    const cost = term[i - 1] === word[j - 1] ? 0 : 1;
    let distance = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + cost);
    if (i > 1 && j > 1 && term[i - 1] === word[j - 2] && term[i - 2] === word[j - 1]) {
      distance = Math.min(distance, rows[i - 2]![j - 2]! + 1);
    }
    row[j] = distance;
    if (distance < best) best = distance;
  }
  return best;
}
