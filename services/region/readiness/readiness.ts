/**
 * Readiness: whether this region may serve as truth and take part in promotions.
 *
 * A region that starts with an empty log could be a new one, or one whose disk was lost: it is not ready before it has
 * applied what each peer that answered held when it first did, and stays so over restarts until it has. A peer that reports
 * less than it did has another disk: what it holds now counts, since what it held may be nowhere any more. A region with a
 * log is ready once that log is replayed: it is an old truth, and says how old (`lag_events`).
 */
import type { Log } from '../../../shared/observe/log.ts';
import { covers, type Position, reportedDurable, totalOf } from '../../../shared/protocol/position.ts';
import type { Peers } from '../peers/peers.ts';

export interface ReadinessOptions {
  readonly log: Log;
  readonly peers: Peers;
  /** The log was empty when the process started, or when one before it did that never became ready. */
  readonly startedEmpty: boolean;
  readonly applied: () => Position;
  readonly onReady: () => void;
}

export interface Readiness {
  readonly ready: boolean;
}

export function createReadiness({ log, peers, startedEmpty, applied, onReady }: ReadinessOptions): Readiness {
  let ready = !startedEmpty || peers.expected === 0;
  /** What each peer held when it first answered, on the disk it has now. */
  const reported = new Map<string, Position>();
  const look = (): void => {
    if (ready) return;
    for (const [region, { status, reachable }] of peers.views) {
      if (!reachable) continue;
      const position = reportedDurable(status);
      const before = reported.get(region);
      if (before !== undefined && covers(position, before)) continue;
      reported.set(region, position);
      if (totalOf(position) > 0)
        log.info('catching up with peer before becoming ready', { peer: region, events: totalOf(position) });
    }
    if (reported.size === 0) return;
    for (const position of reported.values()) if (!covers(applied(), position)) return;
    ready = true;
    onReady();
  };
  peers.onPolled(look);
  if (ready) onReady();
  return {
    get ready() {
      return ready;
    },
  };
}
