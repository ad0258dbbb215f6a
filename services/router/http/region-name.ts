/** Region names in requests: only known ones, and a refusal that lists them. */
import { clip, Refusal } from '../../../shared/errors/errors.ts';
import type { Topology } from '../../../shared/topology/topology.ts';

export function unknownRegion(region: string, topology: Topology): Refusal {
  const known = topology.regions.map(({ name }) => name).join(', ');
  return new Refusal('unknown_region', `there is no region "${clip(region)}"`, { hint: `known regions: ${known}` });
}
