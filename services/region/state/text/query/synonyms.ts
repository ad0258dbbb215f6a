/**
 * The synonyms that the schema declares: which texts a word or a phrase of a query stands for besides itself.
 *
 * Words are compared as a query's are, by their terms, so a rule holds for them however they are written: `Red Bulls` is
 * `red bull`. Each rule is applied to the query as it was typed, never to what another rule makes of it.
 */
import type { SynonymRule } from '../../../schema/schema.ts';
import type { Lexicon } from '../lexicon/lexicon.ts';

/** Words of a query that stand for other texts: those from `from` to before `to`. */
export interface Synonymous {
  readonly from: number;
  readonly to: number;
  readonly texts: readonly string[];
}

/** A text of a rule. */
interface RuleText {
  readonly text: string;
  /** Its words, as those of a query are compared with them, and how many these are. */
  readonly key: string;
  readonly count: number;
  /** All that it asks for, which may be more: `spider-man` is `spiderman` as well. */
  readonly asked: string;
}

export class Synonyms {
  private readonly lexicon: Pick<Lexicon, 'asksOf' | 'analysis'>;
  /** By language, and there by the words they are for. */
  private readonly texts: readonly ReadonlyMap<string, ReadonlySet<string>>[];
  /** Words of the longest one. */
  private longest = 0;

  constructor(rules: readonly SynonymRule[], lexicon: Pick<Lexicon, 'asksOf' | 'analysis'>) {
    this.lexicon = lexicon;
    const { languages, languageOf } = lexicon.analysis;
    this.texts = languages.map((_, language) => this.textsIn(languageOf.indexOf(language), rules));
  }

  private textsIn(field: number, rules: readonly SynonymRule[]): ReadonlyMap<string, ReadonlySet<string>> {
    // By the words it is for, and by all that is looked for, so that of several spellings one is.
    const byWords = new Map<string, Map<string, string>>();
    const known = new Map<string, RuleText>();
    const read = (text: string): RuleText => {
      const own = known.get(text) ?? this.read(text, field);
      known.set(text, own);
      return own;
    };
    for (const { words, find = words } of rules) {
      const others = find.map(read);
      for (const { key, count } of words.map(read)) {
        const texts = byWords.get(key) ?? new Map<string, string>();
        for (const other of others) {
          if (other.key !== key && !texts.has(other.asked)) texts.set(other.asked, other.text);
        }
        if (count === 0 || texts.size === 0) continue;
        byWords.set(key, texts);
        this.longest = Math.max(this.longest, count);
      }
    }
    return new Map([...byWords].map(([key, texts]) => [key, new Set(texts.values())]));
  }

  private read(text: string, field: number): RuleText {
    const asks = this.lexicon.asksOf(text, [field]).map((words) => words.map(({ terms }) => terms[0]!));
    const key = asks.map(([best]) => best!).join(' ');
    return { text, key, count: asks.length, asked: JSON.stringify(asks) };
  }

  get isEmpty(): boolean {
    return this.longest === 0;
  }

  /** Where among the words of a query, in the language of a field, there are some with synonyms; the longest first. */
  among(words: readonly string[], field: number): readonly Synonymous[] {
    const texts = this.texts[this.lexicon.analysis.languageOf[field]!]!;
    const found: Synonymous[] = [];
    for (let length = Math.min(this.longest, words.length); length > 0; length--) {
      for (let from = 0; from + length <= words.length; from++) {
        const own = texts.get(words.slice(from, from + length).join(' '));
        if (own !== undefined) found.push({ from, to: from + length, texts: [...own] });
      }
    }
    return found;
  }

  /** The phrases that a phrase also stands for, at most so many: in each, one of its words or some in a row are replaced. */
  variantsOf(phrase: string, field: number, limit: number): readonly string[] {
    if (this.longest === 0) return [];
    const pieces = phrase.split(/\s+/u).filter((piece) => piece !== '');
    const words: string[] = [];
    // By index of a word, the piece that begins or ends there.
    const starts = new Map<number, number>();
    const ends = new Map<number, number>();
    for (const [piece, text] of pieces.entries()) {
      const own = this.wordsOf(text, field);
      if (own.length === 0) continue;
      starts.set(words.length, piece);
      words.push(...own);
      ends.set(words.length, piece + 1);
    }
    const variants = new Set<string>();
    for (const { from, to, texts } of this.among(words, field)) {
      const [start, end] = [starts.get(from), ends.get(to)];
      if (start === undefined || end === undefined) continue;
      for (const text of texts) {
        variants.add([...pieces.slice(0, start), text, ...pieces.slice(end)].join(' '));
        if (variants.size === limit) return [...variants];
      }
    }
    return [...variants];
  }

  private wordsOf(text: string, field: number): string[] {
    return this.lexicon.asksOf(text, [field]).map(([best]) => best!.terms[0]!);
  }
}
