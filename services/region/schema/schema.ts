/**
 * The schema: signals and their decay, text fields, the dimensions of embeddings, and ranking profiles in addition to the
 * built-in ones. Parsed from YAML by `parse-schema.ts`; this file declares the parsed form.
 *
 * Schemas only grow. A changed meaning of an old name (half-life, sentiment, dimensions) is refused at the start.
 */
import { builtInProfiles } from '../../../shared/protocol/read-parameters.ts';
import type { Filter } from '../filter/filter.ts';
import type { LanguageName } from '../state/text/analysis/analysis.ts';

export type Sentiment = 'positive' | 'negative';

/** The windows a signal may be summed over, with their lengths in seconds, each longer than the one before. */
export const windowSeconds = {
  '1h': 3_600,
  '24h': 86_400,
  '7d': 604_800,
} as const;

/** `all` is all time. */
export type Window = keyof typeof windowSeconds | 'all';

export const windows: readonly Window[] = [...(Object.keys(windowSeconds) as Exclude<Window, 'all'>[]), 'all'];

/** A value for each window. */
export function byWindow<T>(of: (window: Window) => T): Record<Window, T> {
  const values = {} as Record<Window, T>;
  for (const window of windows) values[window] = of(window);
  return values;
}

export interface SignalDefinition {
  readonly name: string;
  readonly sentiment: Sentiment;
  /** Half-life of the decayed score, seconds. */
  readonly halfLifeSeconds: number;
  /** Which windows the signal is shown and ranked by. */
  readonly windows: readonly Window[];
}

export interface TextField {
  readonly name: string;
  /** Factor of this field's term frequency part in BM25, > 0. */
  readonly boost: number;
  /** Of its stemmer and its stop words; absent: English. */
  readonly language?: LanguageName;
  /** Whether the language's stop words are some, or others in place of them; absent: they are. */
  readonly stopWords?: boolean | readonly string[];
}

export interface Schema {
  readonly signals: ReadonlyMap<string, SignalDefinition>;
  readonly textFields: readonly TextField[];
  /** BM25 parameters. */
  readonly bm25: { readonly k1: number; readonly b: number };
  /** Absent: none. Not part of the hash: they change what a query asks for, never what is indexed. */
  readonly synonyms?: readonly SynonymRule[];
  readonly embedding: { readonly dimensions: number };
  /** By name, in the file's order. */
  readonly profiles: ReadonlyMap<string, ProfileDefinition>;
  /** Absent: none. Not part of the hash, as profiles. */
  readonly curations?: readonly Curation[];
  /**
   * 16 hexadecimal digits over everything the log depends on, signals and dimensions, and over how texts are analysed; not over
   * boosts or profiles.
   */
  readonly hash: string;
}

/** Words and phrases that stand for each other in queries. */
export interface SynonymRule {
  readonly words: readonly string[];
  /** What each of the words stands for as well, and not the other way round; absent: all others of them. */
  readonly find?: readonly string[];
}

/** Items that come first in the answers to a query, in this order, and items that never come. */
export interface Curation {
  readonly query: string;
  readonly pin: readonly number[];
  readonly hide: readonly number[];
}

/**
 * A ranking profile that the schema defines: score = (Σ weight · term) · Π factors of the boosts that fit, for the items
 * that pass every gate; the others are not in the feed. Built-in profiles are code (`services/region/rank/profiles.ts`).
 *
 * Profiles are not part of the schema's hash, and a region does not compare them at its start: they change answers, never stored
 * state. During an upgrade the regions may rank by different definitions.
 */
export { builtInProfiles };
export type BuiltInProfile = (typeof builtInProfiles)[number];

/** The measure of a signal: its sum over a window, that sum per second of the window, or its decayed score. */
export type Measure =
  | { readonly of: 'sum'; readonly window: Window }
  | { readonly of: 'velocity'; readonly window: Exclude<Window, 'all'> }
  | { readonly of: 'decayed' };

export interface SignalTerm {
  readonly kind: 'signal';
  /** Declared by the schema, with the window of the measure. */
  readonly signal: string;
  readonly measure: Measure;
  /** log10(1 + x) instead of x: a factor of ten adds one. */
  readonly log: boolean;
  /** Any finite number. */
  readonly weight: number;
}

/** 2^(−age / half-life): 1 for an item that is created right now. */
export interface RecencyTerm {
  readonly kind: 'recency';
  readonly halfLifeSeconds: number;
  readonly weight: number;
}

export type ProfileTerm = SignalTerm | RecencyTerm;

/** The condition under which an item is ranked at all. */
export type Gate =
  | {
      readonly kind: 'signal';
      readonly signal: string;
      readonly window: Window;
      /** Sums of weights, both included; ≥ 0. */
      readonly min: number;
      /** Infinity: none. */
      readonly max: number;
    }
  | { readonly kind: 'age'; readonly maxSeconds: number };

export interface Boost {
  /** As written. */
  readonly text: string;
  readonly filter: Filter;
  /** > 0. */
  readonly factor: number;
}

export interface ProfileDefinition {
  readonly name: string;
  /** At least one. */
  readonly terms: readonly ProfileTerm[];
  readonly gates: readonly Gate[];
  readonly boosts: readonly Boost[];
}

/** The signals whose decayed score is used by a profile. */
export function decayedSignals(profiles: Iterable<ProfileDefinition>): ReadonlySet<string> {
  const signals = new Set<string>();
  for (const { terms } of profiles) {
    for (const term of terms) if (term.kind === 'signal' && term.measure.of === 'decayed') signals.add(term.signal);
  }
  return signals;
}
