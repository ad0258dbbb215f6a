/**
 * Retires a disk in all regions, so that they remove idempotency records without waiting for it
 * (`services/region/checkpoint/disk-account.ts`). One region that accepts the command suffices: it spreads with the regions'
 * reports.
 */
import { messageOf, Refusal } from '../../../shared/errors/errors.ts';
import type { ReportedStatus } from '../../../shared/region-client/reported-status.ts';
import type { RegionLinks } from '../links/links.ts';
import type { RegionsView, RetireDisk } from './cluster.ts';

export interface RetireDiskOptions {
  readonly links: RegionLinks;
  readonly regions: RegionsView;
}

export function createRetireDisk({ links, regions }: RetireDiskOptions): RetireDisk {
  return async (disk) => {
    const names = [...links.keys()];
    const known = await Promise.all(names.map((name) => regions.ask(name)));
    // All are asked before the command is sent to any: the region that runs on the disk may be the last one.
    const user = known.find((region) => region?.reachable === true && region.status.disk === disk)?.status.region;
    if (user !== undefined) {
      throw new Refusal('disk_in_use', `${user} runs on the disk ${disk}`, {
        hint: 'retire only a disk that will never be used again',
      });
    }
    const taken = new Map<string, ReportedStatus>();
    const failed = new Map<string, unknown>();
    await Promise.all(
      [...links].map(async ([name, link]) => {
        try {
          taken.set(name, await link.retireDisk({ disk }));
        } catch (error) {
          // A region that does not know the disk learns of it as retired.
          if (!(error instanceof Refusal && error.code === 'unknown_disk')) failed.set(name, error);
        }
      }),
    );
    if (taken.size > 0) {
      const disks = [...taken.values()].flatMap((status) => status.disks ?? []);
      return {
        disk,
        region: disks.find(({ id }) => id === disk)?.region ?? null,
        retired_by: names.filter((name) => taken.has(name)),
        not_reached: names.filter((name) => failed.has(name)),
      };
    }
    const errors = [...failed.values()];
    const refusal = errors.find((error) => error instanceof Refusal);
    if (refusal !== undefined) throw refusal;
    if (errors.length > 0) {
      throw new Refusal('region_unreachable', `no region accepted it: ${errors.map(messageOf).join('; ')}`, {
        hint: 'ask again: retiring a disk twice does no harm',
      });
    }
    throw new Refusal('unknown_disk', `no region knows a disk ${disk}`, {
      hint: 'absent_disks in /cluster/status lists those that can be retired',
    });
  };
}
