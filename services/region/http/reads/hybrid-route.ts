/**
 * `POST /search`: by text, by vector, or by both. The body has the parameters of `GET /search`, and the vector, which does not
 * fit a request line; common fields are checked by the same code.
 */
import type Router from '@koa/router';
import { searchFields } from '../../../../shared/protocol/read-parameters.ts';
import { parseVector } from '../../../../shared/protocol/writes.ts';
import type { Cursors } from '../../pages/pages.ts';
import { invalid, parseSearchQuery, type SearchQuery } from '../../query/query.ts';
import { bodyFields, type JsonBodies, parametersOf, readJson } from './json-parameters.ts';
import type { Reading } from './reading.ts';
import { answerSearch, type SearchParts } from './search-answer.ts';

const example = '{"query": "jazz piano", "limit": 10}';

export interface HybridParts extends SearchParts, JsonBodies {}

export function addHybridRoute(router: Router, parts: HybridParts, reading: Reading): void {
  router.post('/search', async (ctx) => {
    const { asked, minPosition } = parseBody(await readJson(ctx, parts), {
      profiles: parts.rank.profiles,
      cursors: parts.cursors,
    });
    await reading.admit(ctx, minPosition);
    const { query, filters, exclude, maxPer, sort, facets, blending } = asked;
    const lists = [filters, exclude, sort ?? [], facets];
    const needsIndexes = lists.some(({ length }) => length > 0) || maxPer !== undefined || blending !== undefined;
    if (query !== undefined || needsIndexes) reading.requireIndexes();
    ctx.body = await answerSearch(parts, reading, { ctx, asked, byVector: true });
  });
}

function parseBody(
  body: unknown,
  known: { readonly profiles: readonly string[]; readonly cursors: Cursors },
): { readonly asked: SearchQuery; readonly minPosition: string | undefined } {
  const { vector: values, ...others } = bodyFields(body, { route: 'POST /search', names: searchFields, example });
  const parameters = parametersOf(others);
  const vector = values === undefined ? undefined : parseVector('vector', values, invalid);
  if (!parameters.has('query') && vector === undefined) {
    throw invalid('query', 'or vector is required: a text, an array of numbers, or both');
  }
  const asked = parseSearchQuery(parameters, known, vector);
  return { asked, minPosition: parameters.get('min_position') ?? undefined };
}
