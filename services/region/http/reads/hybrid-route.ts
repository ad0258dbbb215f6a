/**
 * `POST /search`: by text, by vector, or by both. The body has the parameters of `GET /search`, and the vector, which does not
 * fit a request line; common fields are checked by the same code.
 */
import type Router from '@koa/router';
import { parseVector } from '../../../../shared/protocol/writes.ts';
import { canonicalText } from '../../filter/grammar/grammar.ts';
import type { Cursors } from '../../pages/pages.ts';
import {
  checkParameters,
  excludeIdentity,
  invalid,
  maxPerIdentity,
  parseExclude,
  parseExplain,
  parseFilters,
  parseLimit,
  parseMaxPer,
  parsePage,
  searchParameters,
} from '../../query/query.ts';
import type { Scored } from '../../scored/scored.ts';
import type { Found } from '../../search/search.ts';
import { bodyFields, type JsonBodies, parametersOf, readJson } from './json-parameters.ts';
import { diversityOf, type MetadataOf, presentItems, relaxedOf, takeBoundedPage } from './ranked-items.ts';
import type { Reading } from './reading.ts';
import type { SearchParts } from './search-route.ts';

/** In the order in which refusals list them. The router checks `region`. */
const [query, ...others] = searchParameters;
const fields = [query, 'vector', ...others] as const;
const example = '{"query": "jazz piano", "limit": 10}';

export interface HybridParts extends SearchParts, JsonBodies {}

export function addHybridRoute(router: Router, parts: HybridParts, reading: Reading): void {
  const { search, filterIndex, cursors, reads } = parts;
  const metadataOf: MetadataOf = (entity) => parts.catalog.indexedOf(entity);

  router.post('/search', async (ctx) => {
    const asked = parseBody(await readJson(ctx, parts), cursors);
    await reading.admit(ctx, asked.minPosition);
    const { query, vector, filters, exclude, maxPer, limit, from } = asked;
    if (query !== undefined || filters.length + exclude.length > 0 || maxPer !== undefined) reading.requireIndexes();
    // Combined in slices here, so that the search finds the selection.
    const selecting = filters.length === 0 ? undefined : filterIndex.selecting(filters);
    await reads.run(() => void selecting?.now(reads.over), {
      activity: 'search',
      isWanted: () => !ctx.req.socket.destroyed,
    });
    const reach = from.shown + limit + 1;
    const question = { text: query, vector, filters, exclude, reach, statistics: from.statistics };
    ctx.body = await search.find(question, reading.ofIndexes(ctx, 'search'), (found: Found) => {
      reading.mark('search');
      reading.requireClient(ctx);
      const page = takeBoundedPage(parts, found, {
        limit,
        from,
        diversity: diversityOf(parts, maxPer, undefined, metadataOf),
      });
      const explain = asked.explain ? { explain: ({ entity }: Scored) => found.explain(entity) } : {};
      return reading.at(asked, (readTime) => ({
        ...reading.context(readTime.atMs, found.position),
        ...(query === undefined ? {} : { query }),
        items: presentItems(parts, page.items, { from, readTime, metadataOf, ...explain }),
        next_cursor: page.next === undefined ? null : cursors.write(asked.identity, readTime.atMs, page.next),
        total_matched: found.total,
        candidates: found.candidates,
        relaxed: relaxedOf(maxPer, page.relaxed),
      }));
    });
  });
}

function parseBody(body: unknown, cursors: Cursors) {
  const { vector: values, ...others } = bodyFields(body, { route: 'POST /search', names: fields, example });
  const parameters = parametersOf(others);
  const query = parameters.get('query') ?? undefined;
  const vector = values === undefined ? undefined : parseVector('vector', values, invalid);
  if (query === undefined && vector === undefined) {
    throw invalid('query', 'or vector is required: a text, an array of numbers, or both');
  }
  checkParameters(parameters, { route: '/search', names: fields, unbounded: ['query'] });
  const limit = parseLimit(parameters);
  const filters = parseFilters(parameters);
  const exclude = parseExclude(parameters);
  const explain = parseExplain(parameters);
  const maxPer = parseMaxPer(parameters);
  const identity = [
    'hybrid',
    query ?? null,
    vector === undefined ? null : [...vector],
    limit,
    canonicalText(filters),
    maxPerIdentity(maxPer),
    ...excludeIdentity(exclude),
  ];
  const page = parsePage(parameters, cursors, identity);
  const minPosition = parameters.get('min_position') ?? undefined;
  return { query, vector, limit, filters, exclude, maxPer, explain, identity, minPosition, ...page };
}
