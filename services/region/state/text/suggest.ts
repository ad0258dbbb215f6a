/** Completions of a prefix from the words of the live documents. */
import { grown } from '../../../../shared/kernel/grown.ts';
import type { InvertedIndex } from './inverted-index.ts';
import type { Suggestion } from './text.ts';

export class Suggesting {
  private readonly index: InvertedIndex;
  /** By term: its best spelling so far + 1; all zero between calls. */
  private spellings = new Uint32Array(1_024);
  private terms = new Uint32Array(1_024);

  constructor(index: InvertedIndex) {
    this.index = index;
  }

  /**
   * Of each term with words that begin with the last word of the prefix one, in the spelling that most documents have, then
   * alphabetically the first. `limit` ≥ 1.
   */
  suggest(prefix: string, limit: number): Suggestion[] {
    const { lexicon, postings } = this.index;
    const { lead, beginning } = split(lexicon.normalise(prefix));
    if (beginning === '') return [];
    const count = this.collect(beginning);
    const best: number[] = [];
    let least = 0;
    for (let i = 0; i < count; i++) {
      const term = this.terms[i]!;
      const word = this.spellings[term]! - 1;
      this.spellings[term] = 0;
      if (best.length === limit && postings.documents(term) < least) continue;
      let at = best.length;
      while (at > 0 && this.comesBefore(word, best[at - 1]!)) at--;
      best.splice(at, 0, word);
      if (best.length > limit) best.pop();
      least = this.found(best[best.length - 1]!);
    }
    return best.map((word) => ({ completion: lead + lexicon.wordText(word), documents: this.found(word) }));
  }

  /** Leaves the terms in `terms`; answers their number. */
  private collect(beginning: string): number {
    const { lexicon } = this.index;
    if (lexicon.terms.limit > this.spellings.length) {
      this.spellings = grown(this.spellings, lexicon.terms.limit);
      this.terms = new Uint32Array(this.spellings.length);
    }
    const { spellings, terms } = this;
    let count = 0;
    lexicon.vocabulary.startingWith(beginning, (word) => {
      const term = lexicon.termOf(word);
      const best = spellings[term]!;
      if (best === 0) terms[count++] = term;
      if (best === 0 || lexicon.documentsOf(word) > lexicon.documentsOf(best - 1)) spellings[term] = word + 1;
      return true;
    });
    return count;
  }

  /** How many documents a search for the word finds. */
  private found(word: number): number {
    return this.index.postings.documents(this.index.lexicon.termOf(word));
  }

  private comesBefore(word: number, other: number): boolean {
    const { lexicon } = this.index;
    return (
      this.found(word) - this.found(other) > 0 ||
      (this.found(word) === this.found(other) && lexicon.wordText(word) < lexicon.wordText(other))
    );
  }
}

/** The beginning of a word at the end of the text, as the lexicon would have it, and what stands before it. */
function split(text: string): { readonly lead: string; readonly beginning: string } {
  let start = text.length;
  while (start > 0 && !/[\s-]/.test(text[start - 1]!)) start--;
  const edge = text.slice(start).search(/[\p{L}\p{M}\p{N}_]/u);
  if (edge < 0) return { lead: text, beginning: '' };
  return { lead: text.slice(0, start + edge), beginning: text.slice(start + edge).toLowerCase() };
}
