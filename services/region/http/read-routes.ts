/** The public reads, answered by this region about itself. */
import type Router from '@koa/router';
import type { Context } from 'koa';
import { Refusal } from '../../../shared/errors/errors.ts';
import { formatPosition, parsePosition } from '../../../shared/protocol/position.ts';
import { parseAt } from '../rank/page-parameters.ts';
import { nextFeedCursor, parseFeedQuery } from '../rank/parse-feed-query.ts';
import { nextSearchCursor, parseSearchQuery } from '../rank/parse-search-query.ts';
import type { ReadContext, RegionSurface } from './http.ts';

/** How long a read waits for `min_position`. */
const POSITION_WAIT_MS = 2_000;

export function addReadRoutes(router: Router, surface: RegionSurface): void {
  const { apply, catalog, text, rank } = surface;

  const context = (atMs: number): ReadContext => ({
    region: surface.region,
    position: formatPosition(apply.applied),
    lag_events: surface.lagEvents() ?? null,
    at: new Date(atMs).toISOString(),
  });

  const requireReady = (): void => {
    if (surface.ready()) return;
    throw new Refusal('not_ready', `${surface.region} is still catching up with its peers`, {
      hint: 'read from another region',
    });
  };

  /** Read your own writes: waits until this region has applied what the client has seen. */
  const reachPosition = async (ctx: Context): Promise<void> => {
    const parameters = new URLSearchParams(ctx.querystring).getAll('min_position');
    const token = parameters.at(-1) ?? ctx.get('x-tidal-position');
    if (token === '') return;
    const wanted = parsePosition(token);
    if (parameters.length > 1 || wanted === undefined) {
      throw new Refusal('invalid_request', 'min_position must be one position token, as writes and reads answer it', {
        errors: [{ path: 'min_position', message: 'origin:sequence[,origin:sequence…]' }],
      });
    }
    if (await apply.reached(wanted, POSITION_WAIT_MS)) return;
    const position = formatPosition(apply.applied);
    throw new Refusal(
      'position_not_reached',
      `${surface.region} is at ${position || 'the beginning'} after ${POSITION_WAIT_MS} ms`,
      {
        hint: 'ask again, ask the leader, or leave out min_position',
      },
    );
  };

  router.get('/feed', async (ctx) => {
    requireReady();
    await reachPosition(ctx);
    const { query, atMs: pinnedMs, notes } = parseFeedQuery(new URLSearchParams(ctx.querystring));
    const atMs = pinnedMs ?? surface.nowMs();
    const result = rank.feed(query, atMs);
    ctx.body = {
      ...context(atMs),
      profile: query.profile,
      items: result.items,
      next_cursor: result.more ? nextFeedCursor(query, atMs) : null,
      total_scored: result.totalScored,
      relaxed: result.relaxed,
      notes,
    };
  });

  router.get('/search', async (ctx) => {
    requireReady();
    await reachPosition(ctx);
    const asked = parseSearchQuery(new URLSearchParams(ctx.querystring));
    const { query, limit, skip, filters, atMs = surface.nowMs() } = asked;
    const accept = filters.length === 0 ? undefined : (entity: number): boolean => rank.matches(entity, filters);
    const { hits, total } = text.search(query, skip + limit, accept);
    ctx.body = {
      ...context(atMs),
      query,
      items: hits.slice(skip).map(({ entity, score }, index) => ({
        entity_id: entity,
        rank: skip + index + 1,
        score,
        metadata: catalog.item(entity)?.metadata ?? {},
        signals: rank.summary(entity, atMs),
      })),
      next_cursor: total > skip + limit ? nextSearchCursor(asked, atMs) : null,
      total_matched: total,
    };
  });

  router.get('/items/:id', async (ctx) => {
    requireReady();
    for (const name of new URLSearchParams(ctx.querystring).keys()) {
      if (name === 'region' || name === 'min_position' || name === 'at') continue;
      throw new Refusal('invalid_request', `${name.slice(0, 64)} is not a parameter of /items/:id`, {
        hint: 'accepted parameters: region, min_position, at',
        errors: [{ path: name.slice(0, 64), message: 'unknown parameter' }],
      });
    }
    await reachPosition(ctx);
    const text = String(ctx.params.id);
    const entity = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
    if (!Number.isSafeInteger(entity)) {
      throw new Refusal('invalid_request', 'the item id must be an integer from 0 to 9007199254740991', {
        errors: [{ path: 'id', message: 'not an entity id' }],
      });
    }
    const item = catalog.item(entity);
    if (item === undefined) throw new Refusal('unknown_item', `there is no item ${entity} in ${surface.region}`);
    const atMs = parseAt(new URLSearchParams(ctx.querystring)) ?? surface.nowMs();
    const embedding = catalog.embedding(entity);
    ctx.body = {
      ...context(atMs),
      entity_id: entity,
      metadata: item.metadata,
      created_at: new Date(item.createdMs).toISOString(),
      updated_at: new Date(item.updatedMs).toISOString(),
      embedding: embedding === undefined ? null : [...embedding],
      signals: rank.summary(entity, atMs),
    };
  });
}
