/** `GET /feed`, and `POST /feed` with the same parameters in its body. */
import type Router from '@koa/router';
import type { Context } from 'koa';
import { feedParameters } from '../../../../shared/protocol/read-parameters.ts';
import { canonicalText } from '../../filter/grammar/grammar.ts';
import type { Cursors } from '../../pages/pages.ts';
import { feedIdentity, parseFeedQuery } from '../../query/query.ts';
import type { FeedQuery, ReadTime } from '../../rank/rank.ts';
import type { ReadQueue } from '../../read-queue/read-queue.ts';
import type { SortKey } from '../../result/result.ts';
import type { Ranking, Scored, ScorePart } from '../../scored/scored.ts';
import type { Search, TextSlices } from '../../search/search.ts';
import type { Entities } from '../../state/entities/entities.ts';
import type { Selection } from '../../state/filter-index/filter-index.ts';
import type { RunSteps } from '../../state/text/text.ts';
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
import { type Pageable, sortedFound, sortedMatches } from './whole-result.ts';

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
}

export function addFeedRoute(router: Router, parts: FeedParts, reading: Reading): void {
  const { rank, search, catalog, filterIndex, cursors, reads } = parts;

  const answerFeed = async (ctx: Context, parameters: URLSearchParams): Promise<void> => {
    const asked = parseFeedQuery(parameters, { profiles: rank.profiles, cursors });
    const { query, from, notes } = asked;
    const { profile, limit, filters, exclude, maxPer, sort } = query;
    const isFiltered = filters.length > 0 || maxPer !== undefined || sort !== undefined;
    if (isFiltered || profile === 'related') reading.requireIndexes();
    const answer = ({ ranking, ranked, explain, readTime, position, metadataOf }: Ranked) => {
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
    // Of the whole feed, which is sorted from the indexes as they are.
    const attemptSorted = (keys: readonly SortKey[], { run, position }: TextSlices, readTime: ReadTime) => {
      const selection = selecting?.now(reads.over);
      const matches = rank.ranking(query, filterIndex.excluding(selection, exclude), readTime, slices).matches();
      const own: RunSteps = (id, begin) => run(`${readTime.atMs} ${id}`, begin);
      const ranking = sortedMatches(parts, { matches, run: own }, keys);
      const metadataOf: MetadataOf = (entity) => catalog.indexedOf(entity);
      return answer({ ranking, explain: explainedAt(readTime), readTime, position, metadataOf });
    };
    const attempt = (readTime: ReadTime) => {
      if (isFiltered) reading.requireCurrentIndexes();
      const rankingOf = (selection: Selection | undefined, name?: string): Ranking =>
        rank.ranking(query, filterIndex.excluding(selection, exclude), readTime, slices, name);
      const selection = selecting?.now(reads.over);
      const ranking = rankingOf(selection);
      const ranked = { selection: () => selection ?? filterIndex.select([]), rankingOf };
      return answer({ ranking, ranked, explain: explainedAt(readTime), readTime });
    };
    try {
      if (sort !== undefined) {
        ctx.body = await reading.ofIndexes(ctx, 'feed').run((indexes) => {
          const { atMs, continued } = asked;
          return reading.at({ atMs, continued }, (readTime) => attemptSorted(sort, indexes, readTime), nowMs);
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
