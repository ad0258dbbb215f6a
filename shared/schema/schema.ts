/**
 * The schema: which signals exist and how they decay, which metadata is text, how long embeddings are, and by what items
 * are ranked besides the built-in profiles.
 * Parsed from YAML by `parse-schema.ts`; this page is the parsed form everything else sees.
 *
 * Schemas only add. Changing the meaning of an old name (half-life, sentiment, dimensions) is refused at start.
 */

import type { ProfileDefinition } from './profile.ts';

export type Sentiment = 'positive' | 'negative';

/** The windows a signal may be summed over, with their lengths in seconds, each longer than the one before. */
export const windowSeconds = {
  '1h': 3_600,
  '24h': 86_400,
  '7d': 604_800,
} as const;

/** `all` is everything ever. */
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
}

export interface Schema {
  readonly signals: ReadonlyMap<string, SignalDefinition>;
  readonly textFields: readonly TextField[];
  /** BM25 parameters. */
  readonly bm25: { readonly k1: number; readonly b: number };
  readonly embedding: { readonly dimensions: number };
  /** By name, in the file's order. */
  readonly profiles: ReadonlyMap<string, ProfileDefinition>;
  /** 16 hexadecimal digits over everything the log depends on: signals and dimensions, not boosts or profiles. */
  readonly hash: string;
}
