/**
 * `POST /search`: by text, by vector, or by both. The body has the parameters of `GET /search`, and the vector, which does not
 * fit a request line; common fields are checked by the same code.
 */
import type Router from '@koa/router';
import { clip, Refusal } from '../../../../shared/errors/errors.ts';
import type { BodyBudget } from '../../../../shared/http/body-budget.ts';
import { decodeText, readBody, requireType } from '../../../../shared/http/http-body.ts';
import { parseJson } from '../../../../shared/http/json-text.ts';
import { parseVector } from '../../../../shared/protocol/writes.ts';
import { canonicalText } from '../../filter/grammar/grammar.ts';
import type { Cursors } from '../../pages/pages.ts';
import {
  checkParameters,
  invalid,
  maxPerIdentity,
  parseFilters,
  parseLimit,
  parseMaxPer,
  parsePage,
  searchParameters,
} from '../../query/query.ts';
import type { Scored } from '../../scored/scored.ts';
import type { Found } from '../../search/search.ts';
import { diversityOf, type MetadataOf, presentItems, relaxedOf, takeBoundedPage } from './ranked-items.ts';
import type { Reading } from './reading.ts';
import type { SearchParts } from './search-route.ts';

/** In the order in which refusals list them. The router checks `region`. */
const [query, ...others] = searchParameters;
const fields = [query, 'vector', ...others] as const;
type Field = (typeof fields)[number];

export interface HybridParts extends SearchParts {
  /** Limit of all bodies in memory together, bytes. */
  readonly bodies: BodyBudget;
  readonly maxBodyBytes: number;
}

export function addHybridRoute(router: Router, parts: HybridParts, reading: Reading): void {
  const { search, filterIndex, cursors, reads, bodies, maxBodyBytes } = parts;
  const metadataOf: MetadataOf = (entity) => parts.catalog.indexedOf(entity);

  router.post('/search', async (ctx) => {
    requireType(ctx, ['application/json']);
    const share = bodies.share();
    let body: unknown;
    try {
      const text = decodeText(await readBody(ctx, maxBodyBytes, share.take));
      body = parseJson(text);
    } finally {
      share.giveBack();
    }
    const asked = parseBody(body, cursors);
    await reading.admit(ctx, asked.minPosition);
    const { query, vector, filters, maxPer, limit, from } = asked;
    if (query !== undefined || filters.length > 0 || maxPer !== undefined) reading.requireIndexes();
    // Combined in slices here, so that the search finds the selection.
    const selecting = filters.length === 0 ? undefined : filterIndex.selecting(filters);
    await reads.run(() => void selecting?.now(reads.over), {
      activity: 'search',
      isWanted: () => !ctx.req.socket.destroyed,
    });
    const reach = from.shown + limit + 1;
    const question = { text: query, vector, filters, reach, statistics: from.statistics };
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
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new Refusal('invalid_request', 'the body must be a JSON object', {
      hint: 'for example {"query": "jazz piano", "limit": 10}',
    });
  }
  const given = body as Partial<Record<Field, unknown>>;
  for (const name of Object.keys(given)) {
    if ((fields as readonly string[]).includes(name)) continue;
    throw new Refusal('unknown_field', `${clip(name)} is not a field of POST /search`, {
      hint: `accepted fields: ${fields.join(', ')}`,
      errors: [{ path: clip(name), message: 'unknown field' }],
    });
  }
  const text = (name: Field): string | undefined => {
    const value = given[name];
    if (value !== undefined && typeof value !== 'string') throw invalid(name, 'must be a text');
    return value;
  };
  const query = text('query');
  const vector = given.vector === undefined ? undefined : parseVector('vector', given.vector, invalid);
  if (query === undefined && vector === undefined) {
    throw invalid('query', 'or vector is required: a text, an array of numbers, or both');
  }
  const { explain = false } = given;
  if (typeof explain !== 'boolean') throw invalid('explain', 'must be true or false');
  const parameters = new URLSearchParams();
  for (const filter of textsOf('filter', given.filter)) parameters.append('filter', filter);
  for (const name of ['cursor', 'max_per'] as const) {
    const value = text(name);
    if (value !== undefined) parameters.append(name, value);
  }
  for (const name of ['limit', 'at'] as const) {
    const value = given[name];
    if (value === undefined) continue;
    if (typeof value !== 'number' && !(name === 'at' && typeof value === 'string')) {
      throw invalid(name, name === 'limit' ? 'must be an integer from 1 to 200' : 'must be a time');
    }
    parameters.append(name, String(value));
  }
  checkParameters(parameters, { route: '/search', names: fields });
  const limit = parseLimit(parameters);
  const filters = parseFilters(parameters);
  const maxPer = parseMaxPer(parameters);
  const identity = [
    'hybrid',
    query ?? null,
    vector === undefined ? null : [...vector],
    limit,
    canonicalText(filters),
    maxPerIdentity(maxPer),
  ];
  const page = parsePage(parameters, cursors, identity);
  return { query, vector, limit, filters, maxPer, explain, identity, minPosition: text('min_position'), ...page };
}

function textsOf(name: Field, value: unknown): readonly string[] {
  if (value === undefined) return [];
  const texts = Array.isArray(value) ? value : [value];
  if (!texts.every((text) => typeof text === 'string')) throw invalid(name, 'must be a text or an array of texts');
  return texts;
}
