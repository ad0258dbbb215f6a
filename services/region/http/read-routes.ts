/** The public reads, answered from this region's state. */
import type Router from '@koa/router';
import { addFeedRoute } from './feed-route.ts';
import type { RegionSurface } from './http.ts';
import { addHybridRoute } from './hybrid-route.ts';
import { addItemRoute } from './item-route.ts';
import { createReading } from './reading.ts';
import { addSearchRoutes } from './search-routes.ts';
import { addSuggestRoute } from './suggest-route.ts';

export function addReadRoutes(router: Router, surface: RegionSurface): void {
  const reading = createReading(surface);
  addFeedRoute(router, surface, reading);
  addSearchRoutes(router, surface, reading);
  addHybridRoute(router, surface, reading);
  addSuggestRoute(router, surface, reading);
  addItemRoute(router, surface, reading);
}
