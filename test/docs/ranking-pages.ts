/** Everything in docs/ranking: file name → content. A function of the schema alone. */
import type { Schema } from '../../services/region/schema/schema.ts';
import { filmFeeds } from './film-feeds.ts';
import { rankingPlots } from './plots.ts';

/** `schema`: the default one. */
export function rankingPages(schema: Schema): ReadonlyMap<string, string> {
  return new Map([...rankingPlots(schema), ['films.md', filmFeeds(schema)]]);
}
