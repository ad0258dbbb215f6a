/** Commands of the internal API that change what this region does: partition, retired disks, quarantine. */
import type Router from '@koa/router';
import {
  HEAL_AFTER_LIMIT_MS,
  type PartitionRequest,
  type RegionStatus,
  type RetireDiskRequest,
} from '../../../shared/protocol/internal.ts';
import { isDiskId } from '../../../shared/protocol/known-disks.ts';
import { type QuarantinedRange, rangeOf } from '../../../shared/protocol/quarantine.ts';
import { invalid, type ReadFields } from './internal-body.ts';

export interface CommandParts {
  readonly region: string;
  readonly setPartitioned: (partitioned: boolean, healAfterMs: number | undefined) => Promise<void>;
  readonly retireDisk: (id: string) => Promise<void>;
  /** Puts events that cannot be applied into the quarantine. */
  readonly setAside: (range: QuarantinedRange) => Promise<void>;
  readonly status: () => RegionStatus;
}

export function addCommandRoutes(router: Router, parts: CommandParts, fields: ReadFields): void {
  router.post('/internal/partition', async (ctx) => {
    const { partitioned, healAfterMs } = await fields<PartitionRequest>(ctx);
    if (typeof partitioned !== 'boolean') throw invalid('partitioned must be true or false');
    if (
      healAfterMs !== undefined &&
      !(partitioned && typeof healAfterMs === 'number' && healAfterMs > 0 && healAfterMs <= HEAL_AFTER_LIMIT_MS)
    ) {
      throw invalid(`healAfterMs goes with partitioned: true, above 0 to ${HEAL_AFTER_LIMIT_MS}`);
    }
    await parts.setPartitioned(partitioned, healAfterMs);
    ctx.body = parts.status();
  });

  router.post('/internal/retire-disk', async (ctx) => {
    const { disk } = await fields<RetireDiskRequest>(ctx);
    if (!isDiskId(disk)) throw invalid('disk must be the id of a disk');
    await parts.retireDisk(disk);
    ctx.body = parts.status();
  });

  router.post('/internal/quarantine', async (ctx) => {
    const range = rangeOf(await fields<QuarantinedRange>(ctx));
    await parts.setAside(range);
    ctx.body = { region: parts.region, quarantined: range };
  });
}
