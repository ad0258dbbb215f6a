/** A catalog and a ledger around one time, to score the documentation's examples with the ranking code. */

import { diversityOf, presentItems, type RankedItem } from '../../services/region/http/reads/ranked-items.ts';
import { firstPosition, takePage } from '../../services/region/pages/pages.ts';
import { createRank } from '../../services/region/rank/profile-rank.ts';
import { defaultWindows, type FeedQuery } from '../../services/region/rank/rank.ts';
import type { Schema } from '../../services/region/schema/schema.ts';
import type { Scored } from '../../services/region/scored/scored.ts';
import type { Metadata } from '../../shared/protocol/events.ts';
import { TinyCatalog } from '../harness/region/state/tiny-state.ts';

export const HOUR_MS = 3_600_000;
/** The full hour, so that windows end where they are said to. */
export const STAGE_MS = Date.UTC(2026, 0, 15, 20, 0, 0);

export class Stage {
  readonly catalog = new TinyCatalog();
  private readonly ledger;
  private readonly rank;

  constructor(schema: Schema) {
    const { catalog } = this;
    const { entities } = catalog;
    this.ledger = catalog.ledgerOf(schema);
    this.rank = createRank({
      schema,
      entities,
      catalog,
      ledger: this.ledger,
      nowMs: () => STAGE_MS,
    });
  }

  /** Hours before the stage's time; negative: after it. */
  put(entity: number, metadata: Metadata = {}, hoursAgo = 0): void {
    this.catalog.put(entity, metadata, Math.round(STAGE_MS - hoursAgo * HOUR_MS));
  }

  /** As many events of weight 1 as asked for; a fraction is one of that weight. */
  signal(entity: number, signal: string, count: number, hoursAgo = 0): void {
    const timeMs = Math.round(STAGE_MS - hoursAgo * HOUR_MS);
    for (let left = count; left > 0; left -= 10_000) {
      this.ledger.add(entity, signal, Math.round(Math.min(left, 10_000) * 1_000), timeMs);
    }
  }

  feed(profile: string, query: Partial<FeedQuery> = {}, atMs = STAGE_MS): readonly RankedItem[] {
    const { rank, catalog } = this;
    const asked = { ...plainQuery, profile, window: defaultWindows[profile] ?? 'all', ...query };
    const { limit, filters, maxPer } = asked;
    const readTime = { atMs, past: false };
    const ranking = rank.ranking(asked, catalog.filterIndex.select(filters), readTime);
    const page = takePage(ranking, {
      limit,
      from: firstPosition,
      diversity: diversityOf({ catalog, filterIndex: catalog.filterIndex }, maxPer),
    });
    const explained = asked.explain ? { explain: (scored: Scored) => rank.explain(asked, scored, readTime) } : {};
    return presentItems({ catalog, rank }, page.items, { from: firstPosition, readTime, ...explained });
  }

  /** The item's score, or undefined where the profile does not rank it. */
  score(entity: number, profile: string, query: Partial<FeedQuery> = {}, atMs = STAGE_MS): number | undefined {
    return this.feed(profile, { limit: 200, ...query }, atMs).find((item) => item.entity_id === entity)?.score;
  }
}

const plainQuery: FeedQuery = {
  profile: 'trending',
  limit: 10,
  window: 'all',
  filters: [],
  exclude: [],
  maxPer: undefined,
  entity: undefined,
  seed: '',
  explain: false,
};
