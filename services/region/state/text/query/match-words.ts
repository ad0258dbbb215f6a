/**
 * The words of the index that stand for a word of the query: those that begin with it, that a pattern matches, or that few edits
 * make of it. Words that more documents have come first, equal ones in alphabetical order, so that what a limit leaves out is the
 * rarest, and the same in every region.
 */
import type { Steps } from '../../../../../shared/kernel/steps.ts';
import { TopScores } from '../../../scored/scored.ts';
import type { Lexicon, Likeness, Near } from '../lexicon/lexicon.ts';
import { COMPARISON_STEPS, type QueryCost, VISIT_STEPS, WORD_STEPS } from './query-cost.ts';

/** How many words may stand for one word of the query. */
export const EXPANSION_LIMIT_WORDS = 256;
/** How many words that begin with it may stand for the last word of a plain text, which may not be complete yet. */
export const TYPING_LIMIT_WORDS = 64;
/** The share of the limit of a query's cost after which no further word is looked for. */
const SCAN_SHARE = 0.5;
const STAR = 42;

/** What is looked for among the words of the index. */
export interface Pattern {
  /** What the words begin with. */
  readonly prefix: string;
  /** Maximum number of words. */
  readonly limit: number;
  /** Absent: all words that begin with the prefix. */
  readonly like?: {
    readonly likeness: Likeness;
    /** Cost of comparing one word, in steps a letter. */
    readonly letterSteps: number;
    readonly accept: (text: string) => boolean;
    /** All words that match are within so many edits of one. */
    readonly near?: Near;
  };
}

/** The words of the index, best first. */
export interface Matched {
  readonly words: readonly number[];
  /** False if there are further ones, or if not all words were looked at. */
  readonly isComplete: boolean;
}

export function prefixPattern(prefix: string, limit: number): Pattern {
  return { prefix, limit };
}

/** `*` stands for any number of characters. */
export function wildcardPattern(pattern: string, lexicon: Lexicon): Pattern {
  const prefix = pattern.slice(0, pattern.indexOf('*'));
  const fixed = pattern.replaceAll('*', '');
  if (pattern === `${prefix}*`) return prefixPattern(prefix, EXPANSION_LIMIT_WORDS);
  const likeness = {
    letters: lexicon.lettersOf(fixed),
    missingLimit: 0,
    extraLimit: 32,
    shortest: fixed.length,
    longest: Number.POSITIVE_INFINITY,
  };
  // If a part between two stars almost matches repeatedly, each letter may be compared with all of it.
  const longest = Math.max(...pattern.split('*').map((piece) => piece.length));
  const accept = (text: string): boolean => matchesWildcard(text, pattern);
  return { prefix, limit: EXPANSION_LIMIT_WORDS, like: { likeness, letterSteps: 1 + Math.ceil(longest / 4), accept } };
}

export function fuzzyPattern(word: string, distance: number, lexicon: Lexicon): Pattern {
  // One edit adds at most one letter and removes at most one.
  const likeness = {
    letters: lexicon.lettersOf(word),
    missingLimit: distance,
    extraLimit: distance,
    shortest: word.length - distance,
    longest: word.length + distance,
  };
  const accept = withinDistance(word, distance);
  return {
    prefix: '',
    limit: EXPANSION_LIMIT_WORDS,
    like: { likeness, letterSteps: 2 * distance + 1, accept, near: { word, distance } },
  };
}

/** The words that match, at most as many as the limit. A step is a block of the vocabulary. */
export function* matchWords(pattern: Pattern, lexicon: Lexicon, cost: QueryCost): Steps<Matched> {
  if (pattern.like !== undefined && pattern.prefix === '' && !cost.allows(lexicon.size * WORD_STEPS, SCAN_SHARE)) {
    return { words: [], isComplete: false };
  }
  if (pattern.like?.near !== undefined)
    return yield* collectNear(pattern, pattern.like, pattern.like.near, lexicon, cost);
  // Infrequent words rank after all frequent ones: if these are enough, the others need not be looked at.
  const frequent = yield* collect(pattern, lexicon, cost, true);
  if (frequent.found > pattern.limit || !frequent.isComplete) return { ...frequent, isComplete: false };
  const all = yield* collect(pattern, lexicon, cost, false);
  if (!all.isComplete && all.words.length < frequent.words.length) return { ...frequent, isComplete: false };
  return { ...all, isComplete: all.isComplete && all.found <= pattern.limit };
}

/** Words that few edits make of another: few of all are looked at. */
function* collectNear(
  { limit }: Pattern,
  { likeness, letterSteps, accept }: NonNullable<Pattern['like']>,
  near: Near,
  lexicon: Lexicon,
  cost: QueryCost,
): Steps<Matched> {
  const compared = new Set<number>();
  const found: number[] = [];
  let isComplete = true;
  const onPass = (words: number): void => cost.spend(words * WORD_STEPS);
  const visit = (word: number): boolean => {
    if (compared.has(word)) return true;
    compared.add(word);
    const text = lexicon.wordText(word);
    cost.spend(COMPARISON_STEPS + text.length * letterSteps);
    if (accept(text)) found.push(word);
    isComplete = cost.allows(0, SCAN_SHARE);
    return isComplete;
  };
  yield* lexicon.alike(near, likeness, onPass, visit);
  const orders = new Map(found.map((word) => [word, lexicon.orderOf(word)]));
  found.sort((a, b) => (orders.get(a)! < orders.get(b)! ? -1 : 1));
  const best = new TopScores(limit);
  for (const [at, word] of found.entries()) best.add(at, lexicon.documentsOf(word));
  return { words: best.sorted().map(({ entity }) => found[entity]!), isComplete: isComplete && found.length <= limit };
}

function* collect(
  { prefix, limit, like }: Pattern,
  lexicon: Lexicon,
  cost: QueryCost,
  isFrequent: boolean,
): Steps<Matched & { readonly found: number }> {
  const best = new TopScores(limit);
  const matched: number[] = [];
  let isComplete = true;
  const offer = (word: number): void => {
    best.add(matched.length, lexicon.documentsOf(word));
    matched.push(word);
  };
  const isAffordable = (): boolean => {
    isComplete &&= cost.allows(0, SCAN_SHARE);
    return isComplete;
  };
  if (like === undefined) {
    const visit = (word: number): boolean => {
      cost.spend(VISIT_STEPS);
      offer(word);
      return isAffordable();
    };
    yield* isFrequent ? lexicon.visitingFrequent(prefix, visit) : lexicon.visiting(prefix, visit);
  } else {
    const { likeness, letterSteps, accept } = like;
    const onPass = (words: number): void => cost.spend(words * WORD_STEPS);
    const visit = (word: number): boolean => {
      const text = lexicon.wordText(word);
      cost.spend(COMPARISON_STEPS + text.length * letterSteps);
      if (accept(text)) offer(word);
      return isAffordable();
    };
    const words = isFrequent
      ? lexicon.likeFrequent(prefix, likeness, onPass, visit)
      : lexicon.like(prefix, likeness, onPass, visit);
    yield* words;
  }
  return { words: best.sorted().map(({ entity }) => matched[entity]!), found: matched.length, isComplete };
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
  const units = Uint16Array.from({ length: word.length }, (_, i) => word.charCodeAt(i));
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
