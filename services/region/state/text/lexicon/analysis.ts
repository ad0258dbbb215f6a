/**
 * From text to terms: the same for documents and queries, so that what was written is found.
 *
 * lunr's tokenizer separator, stop words and English stemmer; its trimmer too, but for all alphabets: lunr's own takes
 * every letter beyond ASCII for punctuation and would leave whole languages without a single term.
 */
import lunr from 'lunr';

/** The first characters of a word count. Bounds the vocabulary's entries, and the work of the patterns below. */
export const TERM_LIMIT_CHARACTERS = 128;

const edges = /^[^\p{L}\p{M}\p{N}_]+|[^\p{L}\p{M}\p{N}_]+$/gu;

export class Analysis {
  /** The words of a text, lower-case, in order, with the punctuation around them. May hold empty ones. */
  words(text: string): readonly string[] {
    return normalise(text).toLowerCase().split(lunr.tokenizer.separator);
  }

  /** A lower-case word without the punctuation around it; empty when that is all there is. */
  trim(word: string): string {
    // The cut comes first: trimming is quadratic in the length of a run of punctuation.
    const key = word.length > TERM_LIMIT_CHARACTERS ? word.slice(0, TERM_LIMIT_CHARACTERS) : word;
    return key.replace(edges, '');
  }

  /** The term of a lower-case word; empty when there is nothing to search for in it: punctuation, a stop word. */
  term(word: string): string {
    const trimmed = this.trim(word);
    if (trimmed === '') return '';
    const token = new lunr.Token(trimmed, {});
    // The filter answers undefined for a stop word, whatever its type says.
    const kept = lunr.stopWordFilter(token) as lunr.Token | undefined;
    return kept === undefined ? '' : lunr.stemmer(kept).toString();
  }
}

/** One spelling for characters that have several. */
export function normalise(text: string): string {
  return text.normalize('NFC');
}
