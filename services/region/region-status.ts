/** Parts of a region's status that are worked out from what others keep. */
import type { Refusal } from '../../shared/errors/errors.ts';
import type { RegionStatus } from '../../shared/protocol/internal.ts';
import { missing, parsePosition } from '../../shared/protocol/position.ts';
import type { Apply } from './apply/apply.ts';
import type { Peers } from './repair/repair.ts';
import type { Role } from './role/role.ts';
import type { Wal } from './wal/wal.ts';

export function describeHindrance(refusal: Refusal | undefined): Pick<RegionStatus, 'hindrance'> {
  return refusal === undefined ? {} : { hindrance: { code: refusal.code, detail: refusal.message } };
}

export function newestEpoch(wal: Wal): Pick<RegionStatus, 'newestEpoch'> {
  let newest: RegionStatus['newestEpoch'];
  for (const { epoch, last } of wal.origins()) {
    if (newest === undefined || epoch > newest.epoch) newest = { epoch, events: last };
    else if (epoch === newest.epoch) newest = { epoch, events: newest.events + last };
  }
  return newest === undefined ? {} : { newestEpoch: newest };
}

export interface LagOptions {
  readonly role: Role;
  readonly peers: Peers;
  readonly apply: Apply;
}

/** How far this region is behind the leader, as last heard of it: 0 for the leader by definition. */
export function lagBehindLeader({ role, peers, apply }: LagOptions): {
  /** Undefined while the leader was never heard. */
  lagEvents(): number | undefined;
  lagSeconds(): number;
} {
  const leaderStatus = (): RegionStatus | undefined => {
    const leader = role.leadership?.leader;
    return leader === undefined ? undefined : peers.views.get(leader)?.status;
  };
  const lagEvents = (): number | undefined => {
    if (role.leads) return 0;
    const status = leaderStatus();
    return status === undefined ? undefined : missing(parsePosition(status.applied) ?? new Map(), apply.applied);
  };
  return {
    lagEvents,
    lagSeconds() {
      if ((lagEvents() ?? 0) === 0) return 0;
      return Math.max(0, (leaderStatus()?.newestMs ?? 0) - apply.newestMs) / 1_000;
    },
  };
}
