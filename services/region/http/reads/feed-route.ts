/** `GET /feed`. */
import type Router from '@koa/router';
import type { Cursors } from '../../pages/pages.ts';
import { feedIdentity, parseFeedQuery } from '../../query/query.ts';
import type { ReadTime } from '../../rank/rank.ts';
import type { ReadQueue } from '../../read-queue/read-queue.ts';
import type { Ranking, Scored, ScorePart } from '../../scored/scored.ts';
import type { Search } from '../../search/search.ts';
import type { Selection } from '../../state/filter-index/filter-index.ts';
import { diversityOf, type ListParts, presentItems, relaxedOf, takeBoundedPage } from './ranked-items.ts';
import type { Reading } from './reading.ts';

export interface FeedParts extends ListParts {
  readonly search: Pick<Search, 'related'>;
  readonly cursors: Cursors;
  readonly reads: ReadQueue;
  /** The time reads are answered for, epoch ms. */
  readonly nowMs: () => number;
}

/** Parts of a feed's answer. */
interface Ranked {
  readonly ranking: Ranking;
  /** The same for any selection; absent if that costs too much. */
  readonly rankingOf?: (selection: Selection, name: string) => Ranking;
  readonly explain: (scored: Scored) => readonly ScorePart[];
  readonly readTime: ReadTime;
}

export function addFeedRoute(router: Router, parts: FeedParts, reading: Reading): void {
  const { rank, search, filterIndex, cursors, reads } = parts;

  router.get('/feed', async (ctx) => {
    await reading.admit(ctx);
    const parameters = new URLSearchParams(ctx.querystring);
    const asked = parseFeedQuery(parameters, { profiles: rank.profiles, cursors });
    const { query, from, notes } = asked;
    const { profile, limit, filters, maxPer } = query;
    if (filters.length > 0 || maxPer !== undefined || profile === 'related') reading.requireIndexes();
    const answer = ({ ranking, rankingOf, explain, readTime }: Ranked) => {
      const { atMs } = readTime;
      const diversity = diversityOf(parts, maxPer, filters, rankingOf);
      const page = takeBoundedPage(parts, ranking, { limit, from, diversity });
      return {
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
        reading.mark('feed');
        reading.requireClient(ctx);
        const explain = ({ entity }: Scored): readonly ScorePart[] => found.explain(entity);
        ctx.body = reading.at(asked, (readTime) => answer({ ranking: found, explain, readTime }));
      });
      return;
    }
    const nowMs = parts.nowMs();
    const slices = rank.slices(reads.over);
    const attempt = (readTime: ReadTime) => {
      const rankingOf = (selection: Selection | undefined, name?: string): Ranking =>
        rank.ranking(query, selection, readTime, slices, name);
      const ranking = rankingOf(filters.length === 0 ? undefined : filterIndex.select(filters));
      return answer({ ranking, rankingOf, explain: (scored) => rank.explain(query, scored, readTime), readTime });
    };
    try {
      ctx.body = await reads.run(() => reading.at(asked, attempt, nowMs), {
        activity: 'feed',
        key: keyOf(parameters),
        isWanted: () => !ctx.req.socket.destroyed,
      });
    } finally {
      slices.end();
    }
  });
}

/** The same for requests that have the same answer at the same position. Filters keep their order: a cursor belongs to it. */
function keyOf(parameters: URLSearchParams): string {
  return JSON.stringify([...parameters].filter(([name]) => name !== 'region' && name !== 'min_position'));
}
