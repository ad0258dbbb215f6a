/** Chooses the successor of a leader: a pure function, so that every router with the same answers chooses the same. */
import { totalOf } from '../../../shared/protocol/position.ts';
import type { RegionView } from '../../../shared/region-client/status-poller.ts';

/** Why a region cannot take over; undefined if it can. */
export function disqualified({ status, reachable }: RegionView): string | undefined {
  if (!reachable) return 'does not answer';
  if (!status.ready) return 'is not ready';
  if (status.partitioned) return 'is partitioned';
  if (status.stopped !== undefined) return `has stopped: ${status.stopped.detail}`;
  return status.writeBlocker === undefined ? undefined : `could not accept: ${status.writeBlocker.detail}`;
}

/** The leader that is to be replaced. */
export interface UnresponsiveLeader {
  readonly epoch: number;
  /** Signals of its schema, as last known; empty if it never reported. */
  readonly signals: readonly string[];
}

/**
 * `asked` in topology order. First those whose schema has all the leader's signals, so that the clients' writes stay acceptable.
 * Among those the most durable events of the epoch, then the most in all, then the first.
 */
export function chooseCandidate(asked: readonly RegionView[], leader: UnresponsiveLeader): RegionView | undefined {
  let best: RegionView | undefined;
  for (const region of asked) {
    if (disqualified(region) !== undefined) continue;
    if (best === undefined || compare(region, best, leader) > 0) best = region;
  }
  return best;
}

function compare(a: RegionView, b: RegionView, { epoch, signals }: UnresponsiveLeader): number {
  const knows = ({ status }: RegionView): number => Number(signals.every((signal) => status.signals.includes(signal)));
  return (
    knows(a) - knows(b) ||
    eventsOf(a, epoch) - eventsOf(b, epoch) ||
    totalOf(a.status.durable) - totalOf(b.status.durable)
  );
}

/** Durable events of the epoch. */
function eventsOf({ status }: RegionView, epoch: number): number {
  return status.newestEpoch?.epoch === epoch ? status.newestEpoch.events : 0;
}
