/**
 * Stemmers and stop words: lunr's for English, those of lunr-languages for others. Both work on words as {@link keyOf} makes them,
 * so that a word written without its accents has the same stem.
 */
import { createRequire } from 'node:module';
import lunr from 'lunr';
import { fold } from './fold.ts';

const others = [
  ...[
    'ar',
    'da',
    'de',
    'el',
    'es',
    'fi',
    'fr',
    'he',
    'hi',
    'hu',
    'hy',
    'it',
    'ja',
    'kn',
    'ko',
    'nl',
    'no',
    'pl',
    'pt',
    'ro',
    'ru',
  ],
  ...['sa', 'sv', 'ta', 'te', 'th', 'tr', 'vi', 'zh'],
] as const;

/** Of a text field: `none` has neither stemmer nor stop words. */
export const languages = ['en', ...others, 'none'] as const;
export type LanguageName = (typeof languages)[number];

export interface Language {
  readonly name: LanguageName;
  /** The stem of a word. */
  stem(word: string): string;
  isStopWord(word: string): boolean;
}

const loaded = new Map<LanguageName, Language>();

/** Loads it once. */
export function languageOf(name: LanguageName): Language {
  let language = loaded.get(name);
  if (language === undefined) {
    language = load(name);
    loaded.set(name, language);
  }
  return language;
}

/** A function of a pipeline; undefined for a word that it drops, in spite of its type. */
type Step = (token: lunr.Token) => lunr.Token | undefined;

function load(name: LanguageName): Language {
  if (name === 'none') return { name, stem: (word) => word, isStopWord: () => false };
  if (name === 'en') {
    const filter = lunr.stopWordFilter as unknown as Step;
    return {
      name,
      stem: stemming(lunr.stemmer as unknown as Step),
      isStopWord: (word) => filter(new lunr.Token(word, {})) === undefined,
    };
  }
  const require = createRequire(import.meta.url);
  let stopWords: readonly string[] = [];
  // A plugin adds to the lunr it is given. Some open a segmenter for their tokenizer, which is not used here.
  const host = Object.assign(Object.create(lunr) as Record<string, unknown>, {
    wordcut: { init() {} },
    TinySegmenter: class {},
    generateStopWordFilter(words: readonly string[]) {
      stopWords = words;
      return lunr.generateStopWordFilter([...words]);
    },
  });
  for (const file of ['stemmer.support', name]) {
    (require(`lunr-languages/lunr.${file}.js`) as (host: object) => void)(host);
  }
  const { stemmer } = host[name] as { stemmer?: Step };
  const folded = new Set(stopWords.map((word) => fold(word)));
  return {
    name,
    stem: stemmer === undefined ? (word) => word : stemming(stemmer),
    isStopWord: (word) => folded.has(word),
  };
}

function stemming(step: Step): (word: string) => string {
  return (word) => {
    const stem = step(new lunr.Token(word, {}))?.toString() ?? '';
    return stem === '' ? word : stem;
  };
}
