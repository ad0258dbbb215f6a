/**
 * Parses the schema's YAML once at the start, before anything else. All mistakes are reported at once, each with its path, its
 * line and what would have been accepted.
 */

import { durationPattern, parseDurationSeconds } from '../../../shared/config/duration.ts';
import { readConfigFile, YamlFile, type YamlValue } from '../../../shared/config/yaml-file.ts';
import { describeSchema, hashOf } from '../compatible/compatible.ts';
import { Analysis, analysisOf, isWord, languages } from '../state/text/analysis/analysis.ts';
import { parseCurations } from './parse-curations.ts';
import { parseProfiles } from './parse-profiles.ts';
import { parseSynonyms } from './parse-synonyms.ts';
import { type Schema, type SignalDefinition, type TextField, type Window, windows } from './schema.ts';

export const DEFAULT_BM25 = { k1: 1.2, b: 0.75 } as const;

const SIGNAL_LIMIT = 64;
const TEXT_FIELD_LIMIT = 16;
const DIMENSION_LIMIT = 4_096;
const BOOST_LIMIT = 1_000;
const STOP_WORD_LIMIT = 1_000;
const HALF_LIFE_LIMIT_SECONDS = 3_650 * 86_400;

// Signal names become metadata of feeds and words of the query string; field names are words of the query language,
// in which `-`, `:`, `^` and `~` have a meaning.
const namePattern = /^[A-Za-z_][A-Za-z0-9_]{0,63}$/;
const nameExpected = '1 to 64 letters, digits and underscores that do not begin with a digit';

/** `file` only names the source in messages. Throws `ConfigError`. */
export function parseSchema(text: string, file: string): Schema {
  const yaml = new YamlFile(text, file);
  const top = yaml.mapping(
    yaml.root,
    ['version', 'signals', 'text', 'embedding', 'profiles', 'curations'],
    ['signals', 'text', 'embedding'],
  );
  const version = top.get('version');
  if (version !== undefined) yaml.number(version, 1, 1, 'integer');

  const signals = new Map<string, SignalDefinition>();
  const signalEntries = namedEntries(yaml, top.get('signals'), 1, SIGNAL_LIMIT);
  for (const [name, place] of signalEntries) {
    const signal = parseSignal(yaml, name, place);
    if (signal !== undefined) signals.set(name, signal);
  }

  const textKeys = top.get('text');
  const textPart =
    textKeys === undefined ? undefined : yaml.mapping(textKeys, ['bm25', 'fields', 'synonyms'], ['fields']);
  const textFields: TextField[] = [];
  for (const [name, place] of namedEntries(yaml, textPart?.get('fields'), 1, TEXT_FIELD_LIMIT)) {
    textFields.push(parseTextField(yaml, name, place));
  }
  const bm25 = parseBm25(yaml, textPart?.get('bm25'));

  const analysis = new Analysis(textFields.map(analysisOf));
  const synonyms = parseSynonyms(yaml, textPart?.get('synonyms'), analysis.languages);

  const embeddingKeys = top.get('embedding');
  const dimensionsPlace =
    embeddingKeys === undefined
      ? undefined
      : yaml.mapping(embeddingKeys, ['dimensions'], ['dimensions']).get('dimensions');
  const dimensions =
    dimensionsPlace === undefined ? undefined : yaml.number(dimensionsPlace, 1, DIMENSION_LIMIT, 'integer');

  const names = new Set(signalEntries.map(([name]) => name));
  const profiles = parseProfiles(yaml, top.get('profiles'), { names, definitions: signals });
  const curations = parseCurations(yaml, top.get('curations'));

  yaml.finish();
  const parts = { signals, textFields, bm25, synonyms, embedding: { dimensions: dimensions! }, profiles, curations };
  return { ...parts, hash: hashOf(describeSchema(parts)) };
}

/** Reads and parses the file. Throws `ConfigError`. */
export function loadSchema(path: string): Schema {
  return parseSchema(readConfigFile(path), path);
}

/** The entries of a mapping by name, whose number is bounded. */
function namedEntries(yaml: YamlFile, place: YamlValue | undefined, min: number, max: number): [string, YamlValue][] {
  if (place === undefined) return [];
  const entries = [...yaml.mapping(place)];
  const usable = entries.filter(([name, entry]) => {
    if (namePattern.test(name)) return true;
    yaml.refuse(entry, `has a name that cannot be used; names are ${nameExpected}`);
    return false;
  });
  if (entries.length > max) yaml.refuse(place, `has ${entries.length} entries; at most ${max} are accepted`);
  if (entries.length < min) yaml.refuse(place, `must have at least ${min} entry`);
  return usable;
}

function parseSignal(yaml: YamlFile, name: string, place: YamlValue): SignalDefinition | undefined {
  const keys = yaml.mapping(place, ['sentiment', 'half_life', 'windows'], ['sentiment', 'half_life']);
  const sentimentPlace = keys.get('sentiment');
  const sentiment = sentimentPlace === undefined ? undefined : yaml.oneOf(sentimentPlace, ['positive', 'negative']);
  const halfLifePlace = keys.get('half_life');
  const halfLifeSeconds = halfLifePlace === undefined ? undefined : parseHalfLife(yaml, halfLifePlace);
  const windowsPlace = keys.get('windows');
  const shown = windowsPlace === undefined ? windows : parseWindows(yaml, windowsPlace);
  if (sentiment === undefined || halfLifeSeconds === undefined || shown === undefined) return undefined;
  return { name, sentiment, halfLifeSeconds, windows: shown };
}

function parseHalfLife(yaml: YamlFile, place: YamlValue): number | undefined {
  const expected = 'a duration such as 45s, 30m, 24h or 7d, at most 3650d';
  const text = yaml.text(place, durationPattern, expected);
  if (text === undefined) return undefined;
  const seconds = parseDurationSeconds(text)!;
  if (seconds <= HALF_LIFE_LIMIT_SECONDS) return seconds;
  yaml.refuse(place, `must be ${expected}, not "${text}"`);
  return undefined;
}

/** In the order of the table, not of the file, so that the order in the file does not change the schema. */
function parseWindows(yaml: YamlFile, place: YamlValue): readonly Window[] | undefined {
  const elements = yaml.list(place, 1, windows.length);
  const chosen = elements?.map((element) => yaml.oneOf(element, windows));
  return chosen?.every((window) => window !== undefined) ? windows.filter((w) => chosen.includes(w)) : undefined;
}

function parseTextField(yaml: YamlFile, name: string, place: YamlValue): TextField {
  const keys = yaml.mapping(place, ['boost', 'language', 'stop_words']);
  const [boostPlace, languagePlace, stopPlace] = ['boost', 'language', 'stop_words'].map((key) => keys.get(key));
  const boost = boostPlace === undefined ? 1 : (yaml.number(boostPlace, 0.001, BOOST_LIMIT) ?? 1);
  const language = languagePlace === undefined ? undefined : yaml.oneOf(languagePlace, languages);
  const stopWords = stopPlace === undefined ? undefined : parseStopWords(yaml, stopPlace);
  return {
    name,
    boost,
    ...(language === undefined ? {} : { language }),
    ...(stopWords === undefined ? {} : { stopWords }),
  };
}

function parseStopWords(yaml: YamlFile, place: YamlValue): TextField['stopWords'] {
  if (yaml.isBoolean(place)) return yaml.boolean(place);
  if (!yaml.isList(place)) {
    yaml.refuse(place, `must be true, false or a list of at most ${STOP_WORD_LIMIT} words`);
    return undefined;
  }
  const words = yaml.list(place, 0, STOP_WORD_LIMIT)?.map((element) => {
    const word = yaml.text(element, /^\S{1,64}$/u, 'a word of 1 to 64 characters');
    if (word !== undefined && !isWord(word)) yaml.refuse(element, 'is not a single word');
    return word;
  });
  return words?.filter((word) => word !== undefined);
}

function parseBm25(yaml: YamlFile, place: YamlValue | undefined): Schema['bm25'] {
  if (place === undefined) return DEFAULT_BM25;
  const keys = yaml.mapping(place, ['k1', 'b']);
  const k1 = keys.get('k1');
  const b = keys.get('b');
  return {
    k1: k1 === undefined ? DEFAULT_BM25.k1 : (yaml.number(k1, 0, 10) ?? DEFAULT_BM25.k1),
    b: b === undefined ? DEFAULT_BM25.b : (yaml.number(b, 0, 1) ?? DEFAULT_BM25.b),
  };
}
