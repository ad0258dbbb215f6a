/** The public reads, answered from this region's state. */
import type Router from '@koa/router';
import { tagsAnswers } from './entity-tag.ts';
import { addFeedRoute, type FeedParts } from './feed-route.ts';
import { addHybridRoute, type HybridParts } from './hybrid-route.ts';
import { addItemRoute, type ItemParts } from './item-route.ts';
import { createReading, type ReadingParts } from './reading.ts';
import { addSearchRoute } from './search-route.ts';
import { addSuggestRoute, type SuggestParts } from './suggest-route.ts';

export type ReadParts = ReadingParts & FeedParts & HybridParts & ItemParts & SuggestParts;

export function addReadRoutes(router: Router, parts: ReadParts): void {
  const reading = createReading(parts);
  const metadataBytes = (entity: number): number => parts.catalog.metadataBytes(entity);
  router.use(['/feed', '/search', '/items'], tagsAnswers({ metadataBytes }));
  addFeedRoute(router, parts, reading);
  addSearchRoute(router, parts, reading);
  addHybridRoute(router, parts, reading);
  addSuggestRoute(router, parts, reading);
  addItemRoute(router, parts, reading);
}
