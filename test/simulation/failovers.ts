/**
 * Automatic failover replaces only an unresponsive leader: a router whose own network is broken replaces none, and a leader that
 * is partitioned by a drill is not unresponsive. Judged by what the leaders themselves wrote into the control bucket, not by what
 * a router made of it.
 */

import type { Alive } from '../../shared/leadership/leadership.ts';
import type { LogFields } from '../../shared/observe/log.ts';
import type { Machine } from './machine.ts';
import { Violation } from './violation.ts';

/** What a router reads is at most this old when it decides: a request without an answer by then says nothing. */
const REQUEST_MS = 2_000;
/** From the decision to the drain of the candidate: every region was asked again. */
const ASKED_MS = 2_100;
const SLACK_MS = 100;
const REMEMBERED_MS = 60_000;

interface Beat {
  readonly atMs: number;
  readonly partitioned: boolean;
}

export interface FailoversOptions {
  readonly nowMs: () => number;
  /** How long a leader must be unresponsive. */
  readonly afterMs: number;
  readonly machine: (name: string) => Machine | undefined;
}

export class Failovers {
  private readonly options: FailoversOptions;
  /** By region: what it wrote into its alive key, the newest last. */
  private readonly beats = new Map<string, Beat[]>();
  /** By router: when it last asked a candidate to drain the stream, which it does before it replaces a leader. */
  private readonly drainedMs = new Map<string, number>();
  /** The bucket lost something: revisions that were read before say nothing. */
  private disturbedMs = Number.NEGATIVE_INFINITY;

  constructor(options: FailoversOptions) {
    this.options = options;
  }

  /** A region has rewritten its alive key. */
  beat({ region, partitioned }: Alive): void {
    const beats = this.beats.get(region) ?? [];
    this.beats.set(region, beats);
    const atMs = this.options.nowMs();
    beats.push({ atMs, partitioned });
    while (beats.length > 1 && beats[1]!.atMs < atMs - REMEMBERED_MS) beats.shift();
  }

  disturbed(): void {
    this.disturbedMs = this.options.nowMs();
  }

  drains(router: string): void {
    this.drainedMs.set(router, this.options.nowMs());
  }

  /** A router says that it replaced a leader. */
  replaced(router: string, { from, epoch }: LogFields): void {
    const { afterMs, machine } = this.options;
    const decidedMs = this.drainedMs.get(router);
    const leader = machine(String(from));
    if (leader === undefined)
      throw new Violation('the leader is in the topology', `${router} replaced ${String(from)}`);
    if (decidedMs === undefined) return;
    const sinceMs = decidedMs - ASKED_MS - afterMs;
    // A paused router decided longer ago than it seems.
    if (this.disturbedMs >= sinceMs || machine(router)!.stoodStillMs >= sinceMs) return;
    const beats = this.beats.get(leader.name) ?? [];
    const before = beats.findLastIndex(({ atMs }) => atMs <= sinceMs);
    if (before < 0) return;
    const during = beats.slice(before).filter(({ atMs }) => atMs <= decidedMs);
    const timesMs = [...during.map(({ atMs }) => Math.max(atMs, sinceMs)), decidedMs];
    const unresponsiveMs = Math.max(...timesMs.slice(1).map((atMs, index) => atMs - timesMs[index]!));
    const who = `${router} replaced ${leader.name} (epoch ${String(epoch)})`;
    if (unresponsiveMs < afterMs - REQUEST_MS - SLACK_MS) {
      const what = `${who}, which was never unresponsive for longer than ${unresponsiveMs.toFixed(0)} ms`;
      throw new Violation('a router whose own network is broken replaces no leader', what);
    }
    // What a clock that was set back says last is not what it said last.
    if (leader.clockSetMs >= 0 || !during.every(({ partitioned }) => partitioned)) return;
    throw new Violation('a partitioned leader is not unresponsive', `${who}, which is partitioned by a drill`);
  }
}
