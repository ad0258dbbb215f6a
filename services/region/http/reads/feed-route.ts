/** `GET /feed`. */
import type Router from '@koa/router';
import type { Cursors } from '../../pages/pages.ts';
import { feedIdentity, parseFeedQuery } from '../../query/query.ts';
import type { ReadTime } from '../../rank/rank.ts';
import type { Ranking, Scored, ScorePart } from '../../scored/scored.ts';
import type { Search } from '../../search/search.ts';
import type { Selection } from '../../state/filter-index/filter-index.ts';
import { diversityOf, type ListParts, presentItems, relaxedOf, takeBoundedPage } from './ranked-items.ts';
import type { Reading } from './reading.ts';

export interface FeedParts extends ListParts {
  readonly search: Pick<Search, 'related'>;
  readonly cursors: Cursors;
}

/** Parts of a feed's answer. */
interface Ranked {
  readonly ranking: Ranking;
  /** The same for any selection; absent if that costs too much. */
  readonly rankingOf?: (selection: Selection) => Ranking;
  readonly explain: (scored: Scored) => readonly ScorePart[];
  readonly readTime: ReadTime;
}

export function addFeedRoute(router: Router, parts: FeedParts, reading: Reading): void {
  const { rank, search, filterIndex, cursors } = parts;

  router.get('/feed', async (ctx) => {
    await reading.admit(ctx);
    const parameters = new URLSearchParams(ctx.querystring);
    const asked = parseFeedQuery(parameters, { profiles: rank.profiles, cursors });
    const { query, from, notes } = asked;
    const { profile, limit, filters, maxPer } = query;
    if (filters.length > 0 || maxPer !== undefined || profile === 'related') reading.requireIndexes();
    const answer = ({ ranking, rankingOf, explain, readTime }: Ranked): void => {
      const { atMs } = readTime;
      const diversity = diversityOf(parts, maxPer, filters, rankingOf);
      const page = takeBoundedPage(parts, ranking, { limit, from, diversity });
      ctx.body = {
        ...reading.context(atMs),
        profile,
        items: presentItems(parts, page.items, { from, readTime, ...(query.explain ? { explain } : {}) }),
        next_cursor: page.next === undefined ? null : cursors.write(feedIdentity(query), atMs, page.next),
        total_scored: ranking.total,
        relaxed: relaxedOf(maxPer, page.relaxed),
        notes,
      };
    };
    if (query.entity !== undefined) {
      await search.related(query.entity, filters, (found) => {
        reading.requireClient(ctx);
        const explain = ({ entity }: Scored): readonly ScorePart[] => found.explain(entity);
        reading.at(asked, (readTime) => answer({ ranking: found, explain, readTime }));
      });
      return;
    }
    reading.at(asked, (readTime) => {
      const rankingOf = (selection: Selection | undefined): Ranking => rank.ranking(query, selection, readTime);
      const ranking = rankingOf(filters.length === 0 ? undefined : filterIndex.select(filters));
      answer({ ranking, rankingOf, explain: (scored) => rank.explain(query, scored, readTime), readTime });
    });
  });
}
