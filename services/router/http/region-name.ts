/** Region names in requests: known ones only, and a refusal that says which they are. */
import { clip, Refusal } from '../../../shared/errors/errors.ts';
import type { Topology } from '../../../shared/topology/topology.ts';

export function unknownRegion(region: string, topology: Topology): Refusal {
  const known = topology.regions.map(({ name }) => name).join(', ');
  return new Refusal('unknown_region', `there is no region "${clip(region)}"`, { hint: `known regions: ${known}` });
}
