/**
 * A ranking profile that the schema defines: score = (Σ weight · term) · Π factors of the boosts that fit, for the items
 * that pass every gate; the others are not in the feed. Built-in profiles are code (`services/region/rank/profiles.ts`).
 *
 * Profiles are no part of the schema's hash and of what a region compares at its start: they change what is answered,
 * never what is stored. While a cluster is upgraded its regions may rank by different definitions.
 */
import type { Filter } from '../protocol/filter.ts';
import type { Window } from './schema.ts';

/** The profiles every region has, in the order they are listed. No profile of a schema has one of these names. */
export const builtInProfiles = [
  'trending',
  'hot',
  'new',
  'top',
  'best',
  'rising',
  'controversial',
  'debated',
  'hidden_gems',
  'most_viewed',
  'most_liked',
  'shuffle',
  'related',
] as const;
export type BuiltInProfile = (typeof builtInProfiles)[number];

/** What of a signal is measured: its sum over a window, that sum per second of the window, or its decayed score. */
export type Measure =
  | { readonly of: 'sum'; readonly window: Window }
  | { readonly of: 'velocity'; readonly window: Exclude<Window, 'all'> }
  | { readonly of: 'decayed' };

export interface SignalTerm {
  readonly kind: 'signal';
  /** Declared by the schema, with the window of the measure. */
  readonly signal: string;
  readonly measure: Measure;
  /** log10(1 + x) in place of x: ten times as much counts one more. */
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

/** What an item must be to be ranked at all. */
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

/** The signals some profile ranks by the decayed score of. */
export function decayedSignals(profiles: Iterable<ProfileDefinition>): ReadonlySet<string> {
  const signals = new Set<string>();
  for (const { terms } of profiles) {
    for (const term of terms) if (term.kind === 'signal' && term.measure.of === 'decayed') signals.add(term.signal);
  }
  return signals;
}
