/** Completions of a prefix from the words of the live documents. */
import type { Steps } from '../../../../../shared/kernel/steps.ts';

/** The lexicon as the source of completions. */
export interface Words {
  normalise(text: string): string;
  visiting(prefix: string, visit: (word: number) => boolean): Steps;
  visitingFrequent(prefix: string, visit: (word: number) => boolean): Steps;
  wordText(word: number): string;
  termOf(word: number): number;
  documentsOf(word: number): number;
}

/**
 * Words that begin with the last word of the prefix, the most frequent first, then alphabetically; of words with the same term
 * only the first. `limit` ≥ 1.
 */
export function* suggest(
  lexicon: Words,
  prefix: string,
  limit: number,
): Steps<{ completion: string; documents: number }[]> {
  const { lead, beginning } = split(lexicon.normalise(prefix));
  if (beginning === '') return [];
  const best = new Best(lexicon, limit);
  // Infrequent words rank after all frequent ones: mostly they need not be visited.
  yield* lexicon.visitingFrequent(beginning, best.offer);
  if (best.words.length < limit) {
    best.words.length = 0;
    yield* lexicon.visiting(beginning, best.offer);
  }
  return best.words.map((word) => ({
    completion: lead + lexicon.wordText(word),
    documents: lexicon.documentsOf(word),
  }));
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
    const same = words.findIndex((other) => lexicon.termOf(other) === term);
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

/** The beginning of a word at the end of the text, in the form of the lexicon, and the text before it. */
function split(text: string): { readonly lead: string; readonly beginning: string } {
  let start = text.length;
  while (start > 0 && !/[\s-]/.test(text[start - 1]!)) start--;
  const edge = text.slice(start).search(/[\p{L}\p{M}\p{N}_]/u);
  if (edge < 0) return { lead: text, beginning: '' };
  return { lead: text.slice(0, start + edge), beginning: text.slice(start + edge).toLowerCase() };
}
