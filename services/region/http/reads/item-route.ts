/** `GET /items/:id`. */
import type Router from '@koa/router';
import { Refusal } from '../../../../shared/errors/errors.ts';
import { entityIdOfPath } from '../../../../shared/protocol/entity-id.ts';
import { parseAt } from '../../query/query.ts';
import type { Rank } from '../../rank/rank.ts';
import type { Catalog } from '../../state/catalog/catalog.ts';
import type { Reading } from './reading.ts';

export interface ItemParts {
  readonly region: string;
  readonly catalog: Catalog;
  readonly rank: Pick<Rank, 'summary'>;
}

export function addItemRoute(router: Router, { region, catalog, rank }: ItemParts, reading: Reading): void {
  router.get('/items/:id', async (ctx) => {
    for (const name of new URLSearchParams(ctx.querystring).keys()) {
      if (name === 'region' || name === 'min_position' || name === 'at') continue;
      throw new Refusal('invalid_request', `${name.slice(0, 64)} is not a parameter of /items/:id`, {
        hint: 'accepted parameters: region, min_position, at',
        errors: [{ path: name.slice(0, 64), message: 'unknown parameter' }],
      });
    }
    await reading.admit(ctx);
    reading.mark('item');
    const entity = entityIdOfPath(ctx.params.id);
    const item = catalog.item(entity);
    if (item === undefined) throw new Refusal('unknown_item', `there is no item ${entity} in ${region}`);
    const askedMs = parseAt(new URLSearchParams(ctx.querystring));
    const embedding = catalog.embedding(entity);
    ctx.body = reading.at({ atMs: askedMs, continued: false }, (readTime) => ({
      ...reading.context(readTime.atMs),
      entity_id: entity,
      metadata: item.metadata,
      created_at: new Date(item.createdMs).toISOString(),
      updated_at: new Date(item.updatedMs).toISOString(),
      embedding: embedding === undefined ? null : [...embedding],
      signals: rank.summary(entity, readTime, true),
    }));
  });
}
