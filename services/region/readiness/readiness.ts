/**
 * Readiness: whether this region may serve reads and take part in promotions.
 *
 * A region that starts with an empty log could be a new one, or one whose disk was lost: it is not ready before it has applied
 * what each peer held at its first answer, also across restarts. A peer that reports less than before has another disk: what it
 * holds now counts, since what it held may no longer exist. A region with a log is ready once that log is replayed: its state is
 * old, and it reports how old (`lag_events`).
 */
import type { Log } from '../../../shared/observe/log.ts';
import type { Metrics } from '../../../shared/observe/metrics.ts';
import { covers, type Position, totalOf } from '../../../shared/protocol/position.ts';
import type { Peers } from '../peers/peers.ts';

export interface ReadinessOptions {
  readonly log: Log;
  readonly metrics: Metrics;
  readonly peers: Peers;
  /** True if the log was empty when this process started, or when an earlier one did that never became ready. */
  readonly startedEmpty: boolean;
  readonly applied: () => Position;
  readonly onReady: () => void;
}

export interface Readiness {
  readonly ready: boolean;
}

export function createReadiness(options: ReadinessOptions): Readiness {
  const { log, metrics, peers, startedEmpty, applied, onReady } = options;
  let ready = !startedEmpty || peers.expected === 0;
  /** What each peer held when it first answered, on the disk it has now. */
  const reported = new Map<string, Position>();
  const look = (): void => {
    if (ready) return;
    for (const [region, { status, reachable }] of peers.views) {
      if (!reachable) continue;
      const position = status.durable;
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
  metrics.gauge({ name: 'tidal_ready', help: '1 once this region serves as truth.', read: () => ready });
  peers.onPolled(look);
  if (ready) onReady();
  return {
    get ready() {
      return ready;
    },
  };
}
