/** `GET /feed`, and `POST /feed` with the same parameters in its body. */
import type Router from '@koa/router';
import type { Context } from 'koa';
import { feedParameters } from '../../../../shared/protocol/read-parameters.ts';
import { canonicalText } from '../../filter/grammar/grammar.ts';
import type { Cursors } from '../../pages/pages.ts';
import { feedIdentity, parseFeedQuery } from '../../query/query.ts';
import type { FeedQuery, ReadTime } from '../../rank/rank.ts';
import type { ReadQueue } from '../../read-queue/read-queue.ts';
import type { Scored, ScorePart } from '../../scored/scored.ts';
import type { Search, TextSlices } from '../../search/search.ts';
import type { Entities } from '../../state/entities/entities.ts';
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
import { facetsOf, type Pageable, sortedFound, sortedMatches, type WholeList, wholeOf } from './whole-result.ts';

export interface FeedParts extends ListParts, JsonBodies {
  readonly entities: Entities;
  readonly search: Pick<Search, 'related'>;
  readonly cursors: Cursors;
  readonly reads: ReadQueue;
  /** The time reads are answered for, epoch ms. */
  readonly nowMs: () => number;
}

/** Parts of a feed's answer. */
interface Ranked {
  readonly ranking: Pageable;
  /** Absent if a ranking of another selection costs too much. */
  readonly ranked?: RankedSelection;
  readonly explain: (scored: Scored) => readonly ScorePart[];
  readonly readTime: ReadTime;
  /** See `Found`. */
  readonly position?: string | undefined;
  readonly metadataOf?: MetadataOf;
  /** What facets are counted over; absent: none are asked for. */
  readonly all?: WholeList;
}

export function addFeedRoute(router: Router, parts: FeedParts, reading: Reading): void {
  const { rank, search, catalog, filterIndex, cursors, reads } = parts;

  const answerFeed = async (ctx: Context, parameters: URLSearchParams): Promise<void> => {
    const asked = parseFeedQuery(parameters, { profiles: rank.profiles, cursors });
    const { query, from, notes } = asked;
    const { profile, limit, filters, exclude, maxPer, sort } = query;
    const { facets, facetLimit } = asked;
    const isWhole = sort !== undefined || facets.length > 0;
    const isFiltered = filters.length > 0 || maxPer !== undefined || isWhole;
    if (isFiltered || profile === 'related') reading.requireIndexes();
    const answer = ({ ranking, ranked, explain, readTime, position, metadataOf, all }: Ranked) => {
      const { atMs } = readTime;
      const diversity = diversityOf(parts, maxPer, ranked, metadataOf);
      const page = takeBoundedPage(parts, ranking, { limit, from, diversity });
      const shown = { from, readTime, metadataOf, fields: asked.fields };
      return {
        ...reading.context(atMs, position),
        profile,
        items: presentItems(parts, page.items, { ...shown, ...(query.explain ? { explain } : {}) }),
        next_cursor: page.next === undefined ? null : cursors.write(feedIdentity(query), atMs, page.next),
        total_scored: ranking.total,
        ...(all === undefined ? {} : facetsOf(parts, all, [], { facets, limit: facetLimit })),
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
            ...{ ranking: sortedFound(parts, found, sort), explain, readTime, position: found.position },
            ...(facets.length === 0 ? {} : { all: wholeOf(found) }),
            metadataOf: (entity) => catalog.indexedOf(entity),
          }),
        );
      });
      return;
    }
    const nowMs = parts.nowMs();
    const slices = rank.slices(reads.over);
    const selecting = filters.length === 0 ? undefined : filterIndex.selecting(filters);
    const explainedAt =
      (readTime: ReadTime) =>
      (scored: Scored): readonly ScorePart[] =>
        rank.explain(query, scored, readTime);
    const rankedAt = (readTime: ReadTime) => {
      const rankingOf = (selection: Selection | undefined, name?: string) =>
        rank.ranking(query, filterIndex.excluding(selection, exclude), readTime, slices, name);
      const selection = selecting?.now(reads.over);
      const byScore = rankingOf(selection);
      return { byScore, ranked: { selection: () => selection ?? filterIndex.select([]), rankingOf } };
    };
    // The whole feed is sorted and counted from the indexes as they are.
    const attemptWhole = ({ run, position }: TextSlices, readTime: ReadTime) => {
      const { byScore, ranked } = rankedAt(readTime);
      const all: WholeList = {
        matches: () => byScore.matches(),
        run: (id, begin) => run(`${readTime.atMs} ${id}`, begin),
      };
      const metadataOf: MetadataOf = (entity) => catalog.indexedOf(entity);
      return answer({
        ...(sort === undefined ? { ranking: byScore, ranked } : { ranking: sortedMatches(parts, all, sort) }),
        ...{ explain: explainedAt(readTime), readTime, position, metadataOf },
        ...(facets.length === 0 ? {} : { all }),
      });
    };
    const attempt = (readTime: ReadTime) => {
      if (isFiltered) reading.requireCurrentIndexes();
      const { byScore, ranked } = rankedAt(readTime);
      return answer({ ranking: byScore, ranked, explain: explainedAt(readTime), readTime });
    };
    try {
      if (isWhole) {
        ctx.body = await reading.ofIndexes(ctx, 'feed').run((indexes) => {
          const { atMs, continued } = asked;
          return reading.at({ atMs, continued }, (readTime) => attemptWhole(indexes, readTime), nowMs);
        });
        return;
      }
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
