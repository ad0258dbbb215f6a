/** Curations of the schema: for some queries, items that are always first, and items that are never shown. */
import type { Curation } from '../schema/schema.ts';

export interface Curations {
  /** That of a query, however it is written; undefined: it has none. */
  of(query: string): Curation | undefined;
}

/** `keyOf`: the same for queries that ask for the same words; empty if there are none. Of two with one key the first is used. */
export function createCurations(curations: readonly Curation[], keyOf: (query: string) => string): Curations {
  const byKey = new Map<string, Curation>();
  for (const curation of curations) {
    const key = keyOf(curation.query);
    if (key !== '' && !byKey.has(key)) byKey.set(key, curation);
  }
  return { of: (query) => (byKey.size === 0 ? undefined : byKey.get(keyOf(query))) };
}
