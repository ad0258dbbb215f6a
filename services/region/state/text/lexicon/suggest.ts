/** Completions of a prefix from the words of the live documents. */
import type { Steps } from '../../../../../shared/kernel/steps.ts';
import { Groups, isHidden, keyOf, readingOf, withoutMarkup } from '../analysis/analysis.ts';

/** The lexicon as the source of completions. */
export interface Words {
  visiting(prefix: string, visit: (word: number) => boolean): Steps;
  visitingFrequent(prefix: string, visit: (word: number) => boolean): Steps;
  spelling(word: number): string;
  termOf(word: number): number;
  documentsOf(word: number): number;
}

/**
 * Words that begin with the last word of the prefix, the most frequent first, then alphabetically; of words with the same term or
 * spelling only the first. If no word begins with all of a compound, those that begin with its last part. `limit` ≥ 1.
 */
export function* suggest(
  lexicon: Words,
  prefix: string,
  limit: number,
): Steps<{ completion: string; documents: number }[]> {
  for (const { lead, beginning } of endings(prefix)) {
    const best = new Best(lexicon, limit);
    // Infrequent words rank after all frequent ones: mostly they need not be visited.
    yield* lexicon.visitingFrequent(beginning, best.offer);
    if (best.words.length < limit) {
      best.words.length = 0;
      yield* lexicon.visiting(beginning, best.offer);
    }
    if (best.words.length === 0) continue;
    return best.words.map((word) => ({
      completion: lead + lexicon.spelling(word),
      documents: lexicon.documentsOf(word),
    }));
  }
  return [];
}

class Best {
  /** Best first. */
  readonly words: number[] = [];
  private readonly lexicon: Words;
  private readonly limit: number;

  constructor(lexicon: Words, limit: number) {
    this.lexicon = lexicon;
    this.limit = limit;
  }

  /** Words are visited in alphabetical order: of equals the earlier stays. */
  readonly offer = (word: number): boolean => {
    const { lexicon, words } = this;
    const documents = lexicon.documentsOf(word);
    const isFull = words.length === this.limit;
    if (isFull && documents <= lexicon.documentsOf(words[words.length - 1]!)) return true;
    const term = lexicon.termOf(word);
    const spelling = lexicon.spelling(word);
    const same = words.findIndex((other) => lexicon.termOf(other) === term || lexicon.spelling(other) === spelling);
    if (same >= 0) {
      if (lexicon.documentsOf(words[same]!) >= documents) return true;
      words.splice(same, 1);
    } else if (isFull) {
      words.pop();
    }
    let at = words.length;
    while (at > 0 && lexicon.documentsOf(words[at - 1]!) < documents) at--;
    words.splice(at, 0, word);
    return true;
  };
}

/** What of the text may be the beginning of a word, as a key, and the text before it: the longest first. None after a space. */
function endings(text: string): { readonly lead: string; readonly beginning: string }[] {
  const clean = withoutMarkup(text);
  const groups = new Groups();
  let at = 0;
  while (groups.next(clean, at, clean.length)) at = groups.end;
  if (at === 0 || at < clean.length) return [];
  const { start, end } = groups;
  return readingOf(groups, clean)
    .words.filter((word) => start + word.end === end && !isHidden(word.text))
    .sort((a, b) => a.start - b.start)
    .map((word) => ({ lead: text.slice(0, start + word.start), beginning: keyOf(word.text) }))
    .filter(({ beginning }) => beginning !== '');
}
