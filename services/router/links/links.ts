/** The router's links to the regions: the part of their internal API that a router calls. Contract of this folder. */
import type { RegionClient } from '../../../shared/region-client/region-client.ts';

export type RegionLink = Omit<RegionClient, 'log' | 'snapshot' | 'snapshotPart'>;

/** In topology order. */
export type RegionLinks = ReadonlyMap<string, RegionLink>;
