/** The `text.synonyms` of the schema's YAML. Mistakes are collected with the others of the file. */
import type { YamlFile, YamlValue } from '../../../shared/config/yaml-file.ts';
import { asksOf, foldCase } from '../state/text/analysis/analysis.ts';
import type { SynonymRule } from './schema.ts';

const RULES_LIMIT = 1_000;
const LIST_LIMIT = 32;
const TEXT_LIMIT_CHARACTERS = 100;
const TEXT_LIMIT_WORDS = 8;
/** How many texts one stands for, by all rules together. */
const SYNONYMS_LIMIT = 32;

export function parseSynonyms(yaml: YamlFile, place: YamlValue | undefined): readonly SynonymRule[] {
  if (place === undefined) return [];
  const rules: SynonymRule[] = [];
  // By the words of a text: those that it stands for.
  const others = new Map<string, Set<string>>();
  for (const entry of yaml.list(place, 1, RULES_LIMIT) ?? []) {
    const keys = yaml.mapping(entry, ['words', 'find'], ['words']);
    const [wordsPlace, findPlace] = [keys.get('words'), keys.get('find')];
    if (wordsPlace === undefined) continue;
    const words = textsOf(yaml, wordsPlace, findPlace === undefined ? 2 : 1);
    const find = findPlace === undefined ? undefined : textsOf(yaml, findPlace, 1);
    for (const [text, written] of find ?? []) {
      if (words.has(text)) yaml.refuse(findPlace!, `has ${JSON.stringify(written)}, which is one of the words`);
    }
    for (const text of words.keys()) {
      const own = new Set([...(others.get(text) ?? []), ...(find ?? words).keys()]);
      own.delete(text);
      if (own.size > SYNONYMS_LIMIT) {
        const written = JSON.stringify(words.get(text));
        yaml.refuse(entry, `gives ${written} ${own.size} synonyms; at most ${SYNONYMS_LIMIT} are accepted`);
        continue;
      }
      others.set(text, own);
    }
    rules.push({ words: [...words.values()], ...(find === undefined ? {} : { find: [...find.values()] }) });
  }
  return rules;
}

/** As they are written, by their words. */
function textsOf(yaml: YamlFile, place: YamlValue, min: number): ReadonlyMap<string, string> {
  const texts = new Map<string, string>();
  for (const element of yaml.list(place, min, LIST_LIMIT) ?? []) {
    const pattern = new RegExp(`^.{1,${TEXT_LIMIT_CHARACTERS}}$`, 'su');
    const text = yaml.text(element, pattern, `a word or a phrase of 1 to ${TEXT_LIMIT_CHARACTERS} characters`);
    if (text === undefined) continue;
    const words = asksOf(text).map(([best]) => foldCase(best!.text));
    const key = words.join(' ');
    if (words.length === 0) yaml.refuse(element, 'has no words to search for');
    else if (words.length > TEXT_LIMIT_WORDS) {
      yaml.refuse(element, `has ${words.length} words; at most ${TEXT_LIMIT_WORDS} are accepted`);
    } else if (texts.has(key)) yaml.refuse(element, 'has the words of an earlier one of the list');
    else texts.set(key, text);
  }
  return texts;
}
