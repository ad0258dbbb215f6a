/** `GET /items/:id`, and several with `GET /items?ids=`. */
import type Router from '@koa/router';
import { Refusal } from '../../../../shared/errors/errors.ts';
import { entityIdOfPath } from '../../../../shared/protocol/entity-id.ts';
import { itemParameters, itemsParameters } from '../../../../shared/protocol/read-parameters.ts';
import { checkParameters, parseAt, parseFields, parseIds } from '../../query/query.ts';
import type { Rank, ReadTime } from '../../rank/rank.ts';
import type { Catalog, Item } from '../../state/catalog/catalog.ts';
import { PAGE_LIMIT_BYTES, shownOf } from './ranked-items.ts';
import type { Reading } from './reading.ts';

/** Items of one answer. */
export const ITEMS_LIMIT = 200;
/** Bytes of an item in addition to its metadata. */
const FRAME_BYTES = 2 * 1024;
/** What a value of an embedding counts: it takes about as long to write as so many bytes of metadata. */
const VALUE_BYTES = 80;

export interface ItemParts {
  readonly region: string;
  readonly catalog: Catalog;
  readonly rank: Pick<Rank, 'summary'>;
}

export function addItemRoute(router: Router, { region, catalog, rank }: ItemParts, reading: Reading): void {
  const present = (
    { entity, metadata, createdMs, updatedMs }: Item,
    readTime: ReadTime,
    fields: readonly string[] | undefined,
  ) => {
    const embedding = catalog.embedding(entity);
    return {
      entity_id: entity,
      metadata: shownOf(metadata, fields),
      created_at: new Date(createdMs).toISOString(),
      updated_at: new Date(updatedMs).toISOString(),
      embedding: embedding === undefined ? null : [...embedding],
      signals: rank.summary(entity, readTime, true),
    };
  };

  const bytesOf = (entity: number): number =>
    catalog.metadataBytes(entity) + VALUE_BYTES * (catalog.embedding(entity)?.length ?? 0);

  router.get('/items/:id', async (ctx) => {
    const search = new URLSearchParams(ctx.querystring);
    checkParameters(search, { route: '/items/:id', names: itemParameters });
    const fields = parseFields(search);
    await reading.admit(ctx);
    reading.mark('item');
    const entity = entityIdOfPath(ctx.params.id);
    const item = catalog.item(entity);
    if (item === undefined) throw new Refusal('unknown_item', `there is no item ${entity} in ${region}`);
    ctx.body = reading.at({ atMs: parseAt(search), continued: false }, (readTime) => ({
      ...reading.context(readTime.atMs),
      ...present(item, readTime, fields),
    }));
  });

  router.get('/items', async (ctx) => {
    const search = new URLSearchParams(ctx.querystring);
    checkParameters(search, { route: '/items', names: itemsParameters });
    const fields = parseFields(search);
    const ids = parseIds('ids', search.get('ids') ?? '', ITEMS_LIMIT);
    await reading.admit(ctx);
    reading.mark('item');
    const found = ids.flatMap((id) => catalog.item(id) ?? []);
    const shown = fitting(found, bytesOf);
    ctx.body = reading.at({ atMs: parseAt(search), continued: false }, (readTime) => ({
      ...reading.context(readTime.atMs),
      items: shown.map((item) => present(item, readTime, fields)),
      missing: ids.filter((id) => catalog.item(id) === undefined),
      remaining: found.slice(shown.length).map(({ entity }) => entity),
    }));
  });
}

/** The first of them that one answer may have: at least one. */
function fitting(items: readonly Item[], bytesOf: (entity: number) => number): readonly Item[] {
  let bytes = 0;
  for (const [index, { entity }] of items.entries()) {
    bytes += FRAME_BYTES + bytesOf(entity);
    if (bytes > PAGE_LIMIT_BYTES && index > 0) return items.slice(0, index);
  }
  return items;
}
