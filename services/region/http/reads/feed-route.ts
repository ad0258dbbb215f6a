/** `GET /feed`, and `POST /feed` with the same parameters in its body. */
import type Router from '@koa/router';
import type { Context } from 'koa';
import { canonicalText } from '../../filter/grammar/grammar.ts';
import type { Cursors } from '../../pages/pages.ts';
import { feedIdentity, feedParameters, parseFeedQuery } from '../../query/query.ts';
import type { FeedQuery, ReadTime } from '../../rank/rank.ts';
import type { ReadQueue } from '../../read-queue/read-queue.ts';
import type { Ranking, Scored, ScorePart } from '../../scored/scored.ts';
import type { Search } from '../../search/search.ts';
import type { Selection } from '../../state/filter-index/filter-index.ts';
import { bodyFields, type JsonBodies, parametersOf, readJson } from './json-parameters.ts';
import {
  diversityOf,
  type ListParts,
  type MetadataOf,
  presentItems,
  type RankedSelection,
  relaxedOf,
  takeBoundedPage,
} from './ranked-items.ts';
import type { Reading } from './reading.ts';

export interface FeedParts extends ListParts, JsonBodies {
  readonly search: Pick<Search, 'related'>;
  readonly cursors: Cursors;
  readonly reads: ReadQueue;
  /** The time reads are answered for, epoch ms. */
  readonly nowMs: () => number;
}

/** Parts of a feed's answer. */
interface Ranked {
  readonly ranking: Parameters<typeof takeBoundedPage>[1];
  /** Absent if a ranking of another selection costs too much. */
  readonly ranked?: RankedSelection;
  readonly explain: (scored: Scored) => readonly ScorePart[];
  readonly readTime: ReadTime;
  /** See `Found`. */
  readonly position?: string | undefined;
  readonly metadataOf?: MetadataOf;
}

export function addFeedRoute(router: Router, parts: FeedParts, reading: Reading): void {
  const { rank, search, catalog, filterIndex, cursors, reads } = parts;

  const answerFeed = async (ctx: Context, parameters: URLSearchParams): Promise<void> => {
    const asked = parseFeedQuery(parameters, { profiles: rank.profiles, cursors });
    const { query, from, notes } = asked;
    const { profile, limit, filters, exclude, maxPer } = query;
    const isFiltered = filters.length > 0 || maxPer !== undefined;
    if (isFiltered || profile === 'related') reading.requireIndexes();
    const answer = ({ ranking, ranked, explain, readTime, position, metadataOf }: Ranked) => {
      const { atMs } = readTime;
      const diversity = diversityOf(parts, maxPer, ranked, metadataOf);
      const page = takeBoundedPage(parts, ranking, { limit, from, diversity });
      return {
        ...reading.context(atMs, position),
        profile,
        items: presentItems(parts, page.items, { from, readTime, metadataOf, ...(query.explain ? { explain } : {}) }),
        next_cursor: page.next === undefined ? null : cursors.write(feedIdentity(query), atMs, page.next),
        total_scored: ranking.total,
        relaxed: relaxedOf(maxPer, page.relaxed),
        notes,
      };
    };
    if (query.entity !== undefined) {
      ctx.body = await search.related(query.entity, { filters, exclude }, reading.ofIndexes(ctx, 'feed'), (found) => {
        reading.mark('feed');
        reading.requireClient(ctx);
        const explain = ({ entity }: Scored): readonly ScorePart[] => found.explain(entity);
        return reading.at(asked, (readTime) =>
          answer({
            ...{ ranking: found, explain, readTime, position: found.position },
            metadataOf: (entity) => catalog.indexedOf(entity),
          }),
        );
      });
      return;
    }
    const nowMs = parts.nowMs();
    const slices = rank.slices(reads.over);
    const selecting = filters.length === 0 ? undefined : filterIndex.selecting(filters);
    const attempt = (readTime: ReadTime) => {
      if (isFiltered) reading.requireCurrentIndexes();
      const rankingOf = (selection: Selection | undefined, name?: string): Ranking =>
        rank.ranking(query, filterIndex.excluding(selection, exclude), readTime, slices, name);
      const selection = selecting?.now(reads.over);
      const ranking = rankingOf(selection);
      const ranked = { selection: () => selection ?? filterIndex.select([]), rankingOf };
      return answer({ ranking, ranked, explain: (scored) => rank.explain(query, scored, readTime), readTime });
    };
    try {
      ctx.body = await reads.run(() => reading.at(asked, attempt, nowMs), {
        activity: 'feed',
        key: keyOf(parameters, query),
        isWanted: () => !ctx.req.socket.destroyed,
      });
    } finally {
      slices.end();
    }
  };

  router.get('/feed', async (ctx) => {
    await reading.admit(ctx);
    await answerFeed(ctx, new URLSearchParams(ctx.querystring));
  });
  router.post('/feed', async (ctx) => {
    const body = await readJson(ctx, parts);
    const example = '{"profile": "new", "exclude": [1, 2]}';
    const parameters = parametersOf(bodyFields(body, { route: 'POST /feed', names: feedParameters, example }));
    await reading.admit(ctx, parameters.get('min_position') ?? undefined);
    await answerFeed(ctx, parameters);
  });
}

/** The same for requests that have the same answer at the same position. */
function keyOf(parameters: URLSearchParams, { filters }: FeedQuery): string {
  const others = [...parameters].filter(([name]) => !['filter', 'region', 'min_position'].includes(name));
  return JSON.stringify([canonicalText(filters), ...others]);
}
