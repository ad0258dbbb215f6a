/** The `text.synonyms` of the schema's YAML. Mistakes are collected with the others of the file. */
import type { YamlFile, YamlValue } from '../../../shared/config/yaml-file.ts';
import { asksOf, foldCase, keyOf, type Language } from '../state/text/analysis/analysis.ts';
import type { SynonymRule } from './schema.ts';

const RULES_LIMIT = 1_000;
const LIST_LIMIT = 32;
const TEXT_LIMIT_CHARACTERS = 100;
const TEXT_LIMIT_WORDS = 8;
/** How many texts one stands for, by all rules together: of those with the same terms each has the synonyms of all. */
const SYNONYMS_LIMIT = 32;

/** The words of a text, as they are typed but for case, and those by which they are looked for. */
interface Text {
  readonly written: string;
  readonly keys: readonly string[];
}

/** `languages`: of the text fields, in each of which words have other terms. */
export function parseSynonyms(
  yaml: YamlFile,
  place: YamlValue | undefined,
  languages: readonly Language[],
): readonly SynonymRule[] {
  if (place === undefined) return [];
  const rules: SynonymRule[] = [];
  const counts = languages.map((language) => new Counts(language));
  for (const entry of yaml.list(place, 1, RULES_LIMIT) ?? []) {
    const keys = yaml.mapping(entry, ['words', 'find'], ['words']);
    const [wordsPlace, findPlace] = [keys.get('words'), keys.get('find')];
    if (wordsPlace === undefined) continue;
    const words = textsOf(yaml, wordsPlace, findPlace === undefined ? 2 : 1);
    const find = findPlace === undefined ? undefined : textsOf(yaml, findPlace, 1);
    for (const [text, { written }] of find ?? []) {
      if (words.has(text)) yaml.refuse(findPlace!, `has ${JSON.stringify(written)}, which is one of the words`);
    }
    const [own, found] = [[...words.values()], [...(find ?? words).values()]];
    for (const count of counts) {
      const [text, number] = count.add(own, found) ?? [];
      if (text === undefined) continue;
      const written = JSON.stringify(text.written);
      yaml.refuse(entry, `gives ${written} ${number} synonyms; at most ${SYNONYMS_LIMIT} are accepted`);
      break;
    }
    const writtenOf = (texts: ReadonlyMap<string, Text>): string[] => [...texts.values()].map(({ written }) => written);
    rules.push({ words: writtenOf(words), ...(find === undefined ? {} : { find: writtenOf(find) }) });
  }
  return rules;
}

/** How many synonyms texts have in one language, by the terms of their words. */
class Counts {
  private readonly language: Language;
  private readonly others = new Map<string, Set<string>>();

  constructor(language: Language) {
    this.language = language;
  }

  /** Counts a rule; returns the first text that has too many synonyms by it, and how many. */
  add(words: readonly Text[], find: readonly Text[]): readonly [Text, number] | undefined {
    const found = find.map((text) => this.termsOf(text));
    let first: readonly [Text, number] | undefined;
    for (const text of words) {
      const terms = this.termsOf(text);
      const others = this.others.get(terms) ?? new Set();
      this.others.set(terms, others);
      for (const other of found) if (other !== terms) others.add(other);
      if (others.size > SYNONYMS_LIMIT) first ??= [text, others.size];
    }
    return first;
  }

  private termsOf({ keys }: Text): string {
    return keys.map((key) => this.language.stem(key)).join(' ');
  }
}

/** By their words. */
function textsOf(yaml: YamlFile, place: YamlValue, min: number): ReadonlyMap<string, Text> {
  const texts = new Map<string, Text>();
  for (const element of yaml.list(place, min, LIST_LIMIT) ?? []) {
    const pattern = new RegExp(`^.{1,${TEXT_LIMIT_CHARACTERS}}$`, 'su');
    const text = yaml.text(element, pattern, `a word or a phrase of 1 to ${TEXT_LIMIT_CHARACTERS} characters`);
    if (text === undefined) continue;
    const asks = asksOf(text).map(([best]) => best!.text);
    const words = asks.map(foldCase);
    const key = words.join(' ');
    if (words.length === 0) yaml.refuse(element, 'has no words to search for');
    else if (words.length > TEXT_LIMIT_WORDS) {
      yaml.refuse(element, `has ${words.length} words; at most ${TEXT_LIMIT_WORDS} are accepted`);
    } else if (texts.has(key)) yaml.refuse(element, 'has the words of an earlier one of the list');
    else texts.set(key, { written: text, keys: asks.map(keyOf) });
  }
  return texts;
}
