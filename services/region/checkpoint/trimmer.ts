/**
 * Trimming the log's beginning while it takes more than the configured bytes. See `checkpoint.ts`.
 *
 * The rule is evaluated before each step of at most a few MiB: a step never removes what was not allowed at its beginning, nor
 * more than the excess, so that batches within the configured bytes stay for a lagging region. Between two steps it pauses for as
 * long as the step took, so that writes are not delayed.
 *
 * What another region reported durable stays on its disk unless that is lost, so earlier reports would stay true; nevertheless
 * only those of the newest poll count. Trimming does not wait for a region that is partitioned, behind or dead: it recovers by a
 * snapshot.
 */
import { sleep } from '../../../shared/kernel/kernel.ts';
import type { Metrics } from '../../../shared/observe/metrics.ts';
import { type Position, sequenceOf } from '../../../shared/protocol/position.ts';
import type { Peers } from '../peers/peers.ts';
import type { OriginInfo, Wal } from '../wal/wal.ts';
import type { Sweep } from './checkpoint.ts';
import { createSweep, type SweepOptions } from './sweep.ts';

const LOOK_MS = 1_000;
const STEP_BYTES = 4 * 1024 * 1024;

export interface TrimmerOptions extends SweepOptions {
  readonly metrics: Metrics;
  readonly wal: Pick<Wal, 'origins' | 'origin' | 'trim' | 'batchBytes'>;
  readonly peers: Pick<Peers, 'views' | 'expected'>;
  /** The checkpoint position, from which a restart would replay. */
  readonly checkpointPosition: () => Position;
  /** A region that fetches a snapshot may still ask for batches after this position; undefined: none fetches. */
  readonly needed: () => Position | undefined;
  /** Batches may take this much. */
  readonly retentionBytes: number;
}

export function createTrimmer(options: TrimmerOptions): Sweep {
  const trimmer = new Trimmer(options);
  return createSweep(options, {
    pauseMs: LOOK_MS,
    delayed: 'log not trimmed, disk full',
    run: (stopped) => trimmer.trim(stopped),
  });
}

class Trimmer {
  private readonly options: TrimmerOptions;
  private readonly counted;

  constructor(options: TrimmerOptions) {
    this.options = options;
    this.counted = options.metrics.counter({
      name: 'tidal_trimmed_events_total',
      help: 'Events whose batches were trimmed from the log.',
    });
  }

  /** Steps until the log is small enough, or nothing more may be removed. */
  async trim(stopped: AbortSignal): Promise<void> {
    const { clock, log, wal, retentionBytes } = this.options;
    let events = 0;
    while (!stopped.aborted && wal.batchBytes > retentionBytes) {
      this.options.turns?.mark('trim');
      const startMs = clock.monotonicMs();
      const gone = await this.step();
      if (gone === 0) break;
      events += gone;
      this.counted.inc(gone);
      await sleep(clock, clock.monotonicMs() - startMs, stopped);
    }
    if (events > 0) log.info('log trimmed', { events, bytes: wal.batchBytes });
  }

  /** Trims the oldest origin that may be trimmed; returns the number of events. */
  private async step(): Promise<number> {
    const { wal, retentionBytes } = this.options;
    // Half of the excess: a batch takes up to twice its bytes in pages.
    const limitBytes = Math.min(STEP_BYTES, (wal.batchBytes - retentionBytes) / 2);
    const rule = this.rule();
    const oldestFirst = wal
      .origins()
      .filter(({ first, last }) => first <= last)
      .sort((a, b) => a.epoch - b.epoch || a.lastHlc - b.lastHlc);
    for (const info of oldestFirst) {
      const upTo = allowed(rule, info);
      if (upTo < info.first) continue;
      const { batches } = await wal.trim(info.origin, upTo, limitBytes);
      // Nothing is removed: its first batch reaches beyond the allowed sequence.
      if (batches > 0) return (wal.origin(info.origin)?.first ?? info.first) - info.first;
    }
    return 0;
  }

  /** The present inputs of the rule, read once for all origins. */
  private rule(): Rule {
    const { checkpointPosition, needed, peers } = this.options;
    const reports = [...peers.views.values()].filter(({ reachable }) => reachable).map(({ status }) => status.durable);
    return {
      checkpointPosition: checkpointPosition(),
      fetched: needed(),
      peers: { expected: peers.expected, reports },
    };
  }
}

interface Rule {
  readonly checkpointPosition: Position;
  readonly fetched: Position | undefined;
  readonly peers: { readonly expected: number; readonly reports: readonly Position[] };
}

/** Highest sequence that may be removed. */
function allowed({ checkpointPosition, fetched, peers }: Rule, { origin }: OriginInfo): number {
  return Math.min(
    sequenceOf(checkpointPosition, origin),
    fetched === undefined ? Number.MAX_SAFE_INTEGER : sequenceOf(fetched, origin),
    peers.expected === 0 ? Number.MAX_SAFE_INTEGER : heldElsewhere(peers, origin),
  );
}

/** Highest durable sequence another region reports now. */
function heldElsewhere({ reports }: Rule['peers'], origin: string): number {
  return reports.reduce((highest, durable) => Math.max(highest, sequenceOf(durable, origin)), 0);
}
