/** A cluster that has run for years: every disk begins with the origins of many former terms. */
import { regionOf } from '../../shared/protocol/position.ts';
import { type OldOriginsOptions, oldOrigins, storeOfOldOrigins } from '../harness/region/old-origins.ts';
import type { World } from './world.ts';

export async function beginWithOldOrigins(
  world: World,
  { count, trimmed }: { readonly count: number; readonly trimmed: boolean },
): Promise<void> {
  const options: OldOriginsOptions = { count, trimmed, regions: world.names, events: 1, schema: world.schema };
  for (const { origin, bytes } of oldOrigins(options)) world.chronicle.flushed(regionOf(origin), bytes);
  for (const region of world.regions) region.beginWith(await storeOfOldOrigins(options));
  // Their weights are not to be taken for the tags of clients.
  world.tagsFrom(1_000);
}
