/** Which terms of the index a clause means: one, or for wildcards and fuzzy words those of the first words alphabetically. */
import { type Lexicon, lettersOf } from './lexicon/lexicon.ts';
import type { Match } from './parse-text-query.ts';
import { COMPARISON_STEPS, type QueryCost, WORD_STEPS } from './query-cost.ts';

/** How many terms one wildcard or fuzzy word stands for at most: the first alphabetically, the same in every region. */
export const EXPANSION_LIMIT_TERMS = 64;

/** Each once, in the alphabetical order of the words they were found by; a fuzzy word's own term first. */
export function matchTerms(match: Match, lexicon: Lexicon, cost: QueryCost): readonly number[] {
  const own = match.kind === 'wildcard' ? -1 : lexicon.terms.find(match.term);
  const found = own < 0 ? [] : [own];
  switch (match.kind) {
    case 'term':
      return found;
    case 'wildcard': {
      const { pattern } = match;
      const prefix = pattern.slice(0, pattern.indexOf('*'));
      const needed = lettersOf(pattern.replaceAll('*', ''));
      return firstOf(
        { lexicon, cost, prefix, found },
        (word) => (needed & ~lexicon.lettersOf(word)) === 0,
        (text) => matchesWildcard(text, pattern),
      );
    }
    case 'fuzzy': {
      const { word, distance } = match;
      const letters = lettersOf(word);
      return firstOf(
        { lexicon, cost, prefix: '', found },
        // One edit brings in at most one letter and takes away at most one.
        (other) =>
          hasAtMost(distance, letters & ~lexicon.lettersOf(other)) &&
          hasAtMost(distance, lexicon.lettersOf(other) & ~letters),
        withinDistance(word, distance),
      );
    }
  }
}

interface Search {
  readonly lexicon: Lexicon;
  readonly cost: QueryCost;
  readonly prefix: string;
  /** What is there already. */
  readonly found: readonly number[];
}

function firstOf(
  { lexicon, cost, prefix, found }: Search,
  isLikely: (word: number) => boolean,
  accept: (text: string) => boolean,
): number[] {
  const terms = new Set(found);
  lexicon.vocabulary.startingWith(prefix, (word) => {
    if (!isLikely(word)) {
      cost.spend(WORD_STEPS);
      return true;
    }
    cost.spend(COMPARISON_STEPS);
    if (accept(lexicon.wordText(word))) terms.add(lexicon.termOf(word));
    return terms.size < EXPANSION_LIMIT_TERMS;
  });
  return [...terms];
}

/** Whether at most `limit` bits are set. */
function hasAtMost(limit: number, bits: number): boolean {
  let rest = bits;
  for (let i = 0; i < limit; i++) rest &= rest - 1;
  return rest === 0;
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
