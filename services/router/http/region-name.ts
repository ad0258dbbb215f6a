/** Region names in requests: known ones only, and a refusal that says which they are. */
import { Refusal } from '../../../shared/errors/errors.ts';
import type { Topology } from '../../../shared/topology/topology.ts';

export function unknownRegion(region: string, topology: Topology): Refusal {
  const known = topology.regions.map(({ name }) => name).join(', ');
  const shown = region.length > 64 ? `${region.slice(0, 64)}…` : region;
  return new Refusal('unknown_region', `there is no region "${shown}"`, { hint: `known regions: ${known}` });
}
