/**
 * Analysis: from text to terms, the same for documents and queries.
 *
 * lunr's tokenizer separator, stop words and English stemmer; its trimmer too, but for all alphabets: lunr's own treats every
 * letter beyond ASCII as punctuation and would leave whole languages without terms.
 */
import lunr from 'lunr';

/** The first characters of a word count. Bounds the vocabulary's entries, and the work of the patterns below. */
export const TERM_LIMIT_CHARACTERS = 128;

const edges = /^[^\p{L}\p{M}\p{N}_]+|[^\p{L}\p{M}\p{N}_]+$/gu;

export class Analysis {
  /** The words of a text, lower-case, in order, with the punctuation around them. May hold empty ones. */
  words(text: string): readonly string[] {
    // Split first: the lower case of a sigma depends on the letters of its own word only.
    return normalise(text)
      .split(lunr.tokenizer.separator)
      .map((word) => word.toLowerCase());
  }

  /** A lower-case word without the punctuation around it; empty when that is all there is. */
  trim(word: string): string {
    // Truncated first: trimming is quadratic in the length of a run of punctuation.
    const key = word.length > TERM_LIMIT_CHARACTERS ? word.slice(0, TERM_LIMIT_CHARACTERS) : word;
    return key.replace(edges, '');
  }

  /** The term of a lower-case word; empty if it cannot be searched for: punctuation, a stop word. */
  term(word: string): string {
    const trimmed = this.trim(word);
    if (trimmed === '') return '';
    const token = new lunr.Token(trimmed, {});
    // The filter returns undefined for a stop word, in spite of its type.
    const kept = lunr.stopWordFilter(token) as lunr.Token | undefined;
    return kept === undefined ? '' : lunr.stemmer(kept).toString();
  }
}

/** Normalises characters with several encodings. */
export function normalise(text: string): string {
  return text.normalize('NFC');
}
